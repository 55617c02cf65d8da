"""A store whose latency, bandwidth, open cost, listing cost, places, and jitter are set.

It serves a folder's files as objects over S3, and as files by FUSE; `environment/shape.py` says
what the settings do.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from benchpaper import Host
from experiments.systems import s3, server
from experiments.systems.environment import shaped_fuse, shaped_s3
from experiments.systems.environment.shape import Shape


class S3(server.Started):
    """The S3 face of a folder; `endpoint` is its only bucket. Any signature is accepted."""

    endpoint: s3.Endpoint

    def __init__(self, host: Host, folder: Path | str, shape: Shape, seed: int = 0):
        self._host = host
        self._plan: dict[str, Any] = {
            "address": host.address,
            "folder": str(folder),
            "shape": asdict(shape),
            "seed": seed,
        }

    def __enter__(self) -> Self:
        argv = [self._host.python, "-m", shaped_s3.__name__, json.dumps(self._plan)]
        self.process, port = server.announced(self._host, argv)
        access, secret = server.credentials()
        url = f"http://{self._host.address}:{port}"
        self.endpoint = s3.Endpoint(url, s3.BUCKET, access, secret)
        return self


class Mount(server.Mounted):
    """The FUSE face of a folder, at `path`. It needs the capability `fuse`."""

    def __init__(self, host: Host, folder: Path | str, shape: Shape, seed: int = 0):
        plan = {"folder": str(folder), "shape": asdict(shape), "seed": seed}

        def argv(path: Path) -> list[Any]:
            text = json.dumps({**plan, "mountpoint": str(path)})
            return [host.python, "-m", shaped_fuse.__name__, text]

        super().__init__(host, "shaped store", argv)
