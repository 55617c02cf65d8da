"""Systems with their two sides, at three cache settings.

strict switches caching off, or down as far as the system allows. default is what its makers ship.
relaxed trusts remembered data for longer, as one does for speed. A setting exists only where the
system has a knob for it. nfs-rs speaks NFS. The systems of `SECOND` are the same servers with
another client, libnfs: what both clients see comes from the server.
"""

from contextlib import ExitStack
from typing import Any

from benchpaper import Host
from experiments.systems import ganesha, juicefs, libnfs, nfs, rclone, s3, seaweedfs
from experiments.systems.server import FolderSystem, ListeningSystem

LOCKED, BROKEN = "locked store", "broken store"
CONTROLS = (LOCKED, BROKEN)
SYSTEMS = ("rclone", "juicefs", "seaweedfs", "ganesha")
SECOND = {"rclone libnfs": "rclone", "ganesha libnfs": "ganesha"}  # the same server, with libnfs
SETTINGS = ("strict", "default", "relaxed")

RCLONE_S3 = {
    # With 0s, the S3 server of rclone 1.75.2 takes seconds to overwrite an object, or hangs.
    "strict": ["--dir-cache-time", "1ms"],
    "default": [],
    "relaxed": ["--vfs-cache-mode", "full", "--dir-cache-time", "1h"],
}
RCLONE_NFS = {
    "strict": ["--vfs-write-back", "0s", "--dir-cache-time", "1ms"],
    "default": [],
    "relaxed": ["--vfs-write-back", "10s", "--dir-cache-time", "1h"],
}
JUICEFS = {
    "strict": [
        "--attr-cache",
        "0s",
        "--entry-cache",
        "0s",
        "--dir-entry-cache",
        "0s",
        "--open-cache",
        "0s",
    ],
    "default": [],
    "relaxed": [
        "--attr-cache",
        "10s",
        "--entry-cache",
        "10s",
        "--dir-entry-cache",
        "10s",
        "--open-cache",
        "10s",
    ],
}
SEAWEEDFS = {
    "strict": ["-cacheMetaTtlSec", "0", "-cacheCapacityMB", "0"],
    "default": [],
    "relaxed": ["-cacheMetaTtlSec", "600", "-writebackCache"],
}
GANESHA: dict[str, dict] = {
    "strict": dict(attribute_seconds=0, cache="Dir_Chunk = 0;"),
    "default": dict(attribute_seconds=60),
    "relaxed": dict(attribute_seconds=600),
}


NEEDS = {
    "rclone": [*rclone.NEEDS_S3, *rclone.NEEDS_NFS, s3.BOTO],
    "juicefs": ["fuse", juicefs.PACKAGE, s3.PACKAGE, s3.BOTO],
    "seaweedfs": ["fuse", *seaweedfs.NEEDS, s3.BOTO],
    "ganesha": ["ganesha", "root", *rclone.NEEDS_S3, nfs.PACKAGE, s3.BOTO],
}


def valid(system, setting):
    """True if the system has this setting: the controls have one, the second client two."""
    has = (
        SETTINGS
        if system in SYSTEMS
        else ("strict", "default")
        if system in SECOND
        else ("default",)
    )
    return setting in has


def needs(system):
    """Return the capabilities that starting a system needs."""
    servers = NEEDS.get(SECOND.get(system, system), [])
    return [*servers, *(["libnfs"] if system in SECOND else []), "loopback"]


def versions():
    """Return {tool: version} of the systems."""
    return {
        "rclone": rclone.version(),
        "juicefs": juicefs.version(),
        "seaweedfs": seaweedfs.version(),
        "ganesha": ganesha.version(),
        "libnfs": libnfs.version(),
    }


Sides = tuple[dict[str, Any], s3.Endpoint]  # the view of files, and the bucket


class Stack:
    """Running system as a context manager that yields a description for `views.open_views`."""

    def __init__(self, host: Host, system: str, setting: str):
        self._host, self._system, self._setting = host, system, setting
        self._running = ExitStack()

    def __enter__(self) -> dict[str, Any]:
        try:
            if self._system in CONTROLS:
                return {"file": {"kind": "memory", "broken": self._system == BROKEN}, "s3": None}
            file, endpoint = getattr(self, f"_{SECOND.get(self._system, self._system)}")()
            if self._system in SECOND:
                file["kind"] = "libnfs"
            return {"file": file, "s3": endpoint.as_dict()}
        except BaseException:
            self._running.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _rclone(self) -> Sides:
        objects = self._running.enter_context(
            rclone.S3(self._host, options=RCLONE_S3[self._setting])
        )
        files = self._running.enter_context(
            rclone.NFS(self._host, objects.files, options=RCLONE_NFS[self._setting])
        )
        return _export(files, "3"), objects.endpoint

    def _ganesha(self) -> Sides:
        objects = self._running.enter_context(rclone.S3(self._host, options=RCLONE_S3["strict"]))
        files = self._running.enter_context(
            ganesha.Ganesha(self._host, objects.files, **GANESHA[self._setting])
        )
        return _export(files, "4.1"), objects.endpoint

    def _juicefs(self) -> Sides:
        volume = self._running.enter_context(juicefs.JuiceFS(self._host))
        options = JUICEFS[self._setting]
        endpoint = self._running.enter_context(volume.gateway(options=options))
        mount = self._running.enter_context(volume.mount(options=options))
        return _folder(mount), endpoint

    def _seaweedfs(self) -> Sides:
        servers = self._running.enter_context(seaweedfs.SeaweedFS(self._host))
        mount = self._running.enter_context(servers.mount(SEAWEEDFS[self._setting]))
        return _folder(mount), servers.endpoint


def _export(files: ListeningSystem, version: str) -> dict[str, Any]:
    return dict(kind="nfs", address=files.address, port=files.port, version=version)


def _folder(mount: FolderSystem) -> dict[str, str]:
    return dict(kind="folder", path=str(mount.path))
