"""A server of Redis' protocol as a system under test: Redis, or Valkey.

It comes from the package redis-server or valkey-server. The client is `experiments.systems.resp`.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

from benchpaper import Host, capability
from experiments.systems import server
from experiments.systems.resp import Connection

PROGRAMS = ("redis-server", "valkey-server")


def program() -> str | None:
    """Return the server that is installed."""
    return next((name for name in PROGRAMS if shutil.which(name)), None)


def version() -> str:
    """Return the version of the installed server, or "none"."""
    if not (name := program()):
        return "none"
    said = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
    numbers = [word.removeprefix("v=") for word in said.split() if word.startswith("v=")]
    return " ".join([name.partition("-")[0], *numbers])


@capability("redis", "a server of Redis' protocol", "install redis-server or valkey-server")
def _redis() -> tuple[bool, str]:
    name = program()
    return name is not None, name or "no redis-server or valkey-server on PATH"


class Redis(server.Started):
    """A server that keeps nothing on disk, at `address` and `port`, or at the Unix socket `socket`.

    It has no password, so it binds only to the host's own address.
    """

    port: int

    def __init__(self, host: Host, socket: Path | None = None):
        self._host, self.address, self.socket = host, host.address, socket

    def __enter__(self) -> Self:
        def argv(port: int) -> list[Any]:
            place = ["--port", 0, "--unixsocket", self.socket] if self.socket else ["--port", port]
            return [
                program() or PROGRAMS[0],
                *("--bind", self.address),
                *place,
                *("--save", "", "--appendonly", "no", "--protected-mode", "no"),
            ]

        self.process, [self.port] = server.start(self._host, "redis", argv, self._ask)
        return self

    def gets(self) -> int:
        """Return how many GETs the server says that it answered."""
        text = self._ask(self.port)
        lines = [line for line in text.splitlines() if line.startswith("cmdstat_get:")]
        return int(lines[0].partition("calls=")[2].partition(",")[0]) if lines else 0

    def _ask(self, port: int) -> str:
        with Connection(self.socket or (self.address, port)) as connection:
            return connection.call(b"INFO", b"commandstats").decode()
