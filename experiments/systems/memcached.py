"""memcached as a system under test: a cache next to the training loop.

It comes from the package memcached.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchpaper import Host
from experiments.systems import server


def version() -> str:
    """Return the version of the installed memcached, or "none"."""
    import shutil
    import subprocess

    if not shutil.which("memcached"):
        return "none"
    return subprocess.run(["memcached", "-V"], capture_output=True, text=True).stdout.split()[-1]


class Memcached(server.Started):
    """memcached with `memory_mb` MiB for items, at `place` (for `pymemcache`).

    `place` is (`address`, `port`), or the path of the Unix socket `socket`.

    Its plain protocol has no passwords, so it binds only to the host's own address. It refuses
    items above `item_mb` MiB.
    """

    port: int

    def __init__(
        self,
        host: Host,
        memory_mb: int,
        *,
        threads: int = 1,
        item_mb: int = 16,
        options: Sequence[str] = (),
        socket: Path | None = None,
    ):
        self._socket = socket
        self._host, self._memory_mb, self._threads, self._item_mb, self._options = (
            host,
            memory_mb,
            threads,
            item_mb,
            options,
        )
        self.address = host.address

    def __enter__(self) -> Self:
        def argv(port: int) -> list[Any]:
            return [
                "memcached",
                *(["-s", self._socket] if self._socket else ["-l", self.address, "-p", port]),
                "-U",
                0,
                "-m",
                self._memory_mb,
                "-t",
                self._threads,
                "-I",
                f"{self._item_mb}m",
                "-u",
                "root",
                *self._options,
            ]

        self.process, [self.port] = server.start(self._host, "memcached", argv, self._ask)
        return self

    @property
    def place(self) -> tuple[str, int] | str:
        return self._place(self.port)

    def _place(self, port: int) -> tuple[str, int] | str:
        return str(self._socket) if self._socket else (self.address, port)

    def stats(self) -> dict[str, Any]:
        """Return memcached's own counters, such as `get_hits`, `evictions`, and `curr_items`."""
        return self._ask(self.port)

    def _ask(self, port: int) -> dict[str, Any]:
        from pymemcache.client.base import Client

        client = Client(self._place(port), connect_timeout=2, timeout=5)
        try:
            return {name.decode(): value for name, value in client.stats().items()}
        finally:
            client.close()
