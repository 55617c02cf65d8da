"""NATS JetStream: a NATS server that keeps streams of messages in files."""

import socket
from typing import Self

from experiments.systems import nats, server

NEEDS = nats.NEEDS


class Server(nats.Server):
    """A server on a host, as a context manager; `endpoint` is host:port."""

    def __enter__(self) -> Self:
        program, address = nats.program(self._host), self._host.address
        folder = self._host.scratch()

        def argv(port: int) -> list[object]:
            where = ["--addr", address, "--port", port]
            return [program, *where, "--jetstream", "--store_dir", folder]

        def ready(port: int) -> None:
            socket.create_connection((address, port), timeout=1).close()

        self.process, (port,) = server.start(self._host, "nats-server", argv, ready)
        self.endpoint = f"{address}:{port}"
        return self
