"""What carries the connections between a pipeline and its S3 server: later, or not at all."""

import dataclasses
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from benchpaper import Host
from experiments.systems import asking, s3, server


class Proxy:
    """A proxy on a host, as a context manager; clients reach the store at `endpoint`."""

    def __init__(self, host: Host, endpoint: s3.Endpoint, delay_ms: float):
        self._host, self._delay_ms, self._target = host, delay_ms, endpoint
        self._port = host.free_port()
        self.endpoint = dataclasses.replace(endpoint, url=f"http://{host.address}:{self._port}")

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Break all connections and refuse others, while the context lasts."""
        self._process.stop()
        yield
        self._start()

    def _start(self) -> None:
        host, _, port = self._target.url.removeprefix("http://").rpartition(":")
        plan = dict(
            address=self._host.address,
            port=self._port,
            to=[host, int(port)],
            delay_ms=self._delay_ms,
        )
        words = ["-m", "experiments.systems.environment.delay_proxy", json.dumps(plan)]
        self._process = self._host.start([self._host.python, *words])
        server.wait("the proxy", self._process, self._answers, server.PATIENCE_S)

    def _answers(self) -> None:
        asking.ask(self._host, connects, self._host.address, self._port)


def connects(address: str, port: int) -> None:
    """Raise `OSError` unless somebody listens."""
    socket.create_connection((address, port), timeout=1).close()
