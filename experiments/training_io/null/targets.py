"""Null targets on a host: servers that answer at once with zeros, as context managers."""

import json
from types import ModuleType
from typing import Any, Self

from benchpaper import Host
from experiments.systems import server
from experiments.training_io.null import null_nfs, null_s3


class NullServer(server.Started):
    """A null server on a host; `store` describes it for `stores.open_store`."""

    def __init__(
        self, host: Host, program: ModuleType, plan: dict[str, Any], store: dict[str, Any]
    ):
        plan = {"address": host.address, "port": 0, **plan}
        self._host, self._argv = host, [host.python, "-m", program.__name__, json.dumps(plan)]
        self.store = {**store, "address": host.address}

    def __enter__(self) -> Self:
        self.process, self.store["port"] = server.announced(self._host, self._argv)
        return self


def nfs(host, size):
    """Return the null server of NFS, all of whose files have `size` bytes."""
    store = dict(kind="nfs", version="3", folder="null")
    return NullServer(host, null_nfs, dict(size=size), store)


def s3(host, size, stall_s=0.0, every_s=1.0):
    """Return the null server of S3, all of whose objects have `size` bytes.

    It pauses for `stall_s` at the beginning of every `every_s` seconds.
    """
    store = dict(kind="s3", bucket="null", credentials=("nobody", "nothing"))
    return NullServer(host, null_s3, dict(size=size, stall_s=stall_s, every_s=every_s), store)
