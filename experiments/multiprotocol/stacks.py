"""Systems with their two sides, at three cache settings.

strict switches caching off, or down as far as the system allows. default is what its makers ship.
relaxed trusts remembered data for longer, as one does for speed. A setting exists only where the
system has a knob for it. nfs-rs speaks NFS. The systems of `SECOND` are the same servers with
another client, libnfs, and those of `kernel.CLIENTS` with the kernel's client: what all clients see
comes from the server.
"""

from contextlib import ExitStack
from typing import Any

from benchpaper import Host
from experiments.multiprotocol import kernel
from experiments.multiprotocol.way import Way
from experiments.systems import ganesha, juicefs, libnfs, nfs, nfsd, rclone, s3, seaweedfs
from experiments.systems.nfs_mount import NfsMount
from experiments.systems.server import FolderSystem, ListeningSystem

LOCKED, BROKEN = "locked store", "broken store"
CONTROLS = (LOCKED, BROKEN)
SYSTEMS = ("rclone", "juicefs", "seaweedfs", "ganesha")
SECOND = {"rclone libnfs": "rclone", "ganesha libnfs": "ganesha"}  # the same server, with libnfs
IN_GUESTS = ("nfsd",)  # systems that only a guest can run
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
VERSION_OF = {"rclone": "3", "ganesha": "4.1", "nfsd": "4.1"}  # of NFS, to clients in user space


NEEDS = {
    "rclone": [*rclone.NEEDS_S3, *rclone.NEEDS_NFS, s3.BOTO],
    "juicefs": ["fuse", "shared_host", juicefs.PACKAGE, s3.PACKAGE, s3.BOTO],  # a metadata file
    "seaweedfs": ["fuse", *seaweedfs.NEEDS, s3.BOTO],
    "ganesha": ["ganesha", "root", *rclone.NEEDS_S3, nfs.PACKAGE, s3.BOTO],
    "nfsd": ["nfsd", *rclone.NEEDS_S3, nfs.PACKAGE, s3.BOTO],
}


def server_of(system):
    """Return the system without its client."""
    if system in kernel.CLIENTS:
        return kernel.CLIENTS[system].server
    return SECOND.get(system, system)


def valid(system, setting):
    """True if the system has this setting: the controls have one, other clients at most two."""
    if system in CONTROLS or server_of(system) in IN_GUESTS:
        return setting == "default"
    return setting in (SETTINGS if system in SYSTEMS else ("strict", "default"))


def needs(system):
    """Return the capabilities that starting a system needs."""
    client = ["libnfs"] if system in SECOND else []
    client += ["nfs_client"] if system in kernel.CLIENTS else []
    return [*NEEDS.get(server_of(system), []), *client, "loopback"]


def versions():
    """Return {tool: version} of the systems."""
    return {
        "rclone": rclone.version(),
        "juicefs": juicefs.version(),
        "seaweedfs": seaweedfs.version(),
        "ganesha": ganesha.version(),
        "libnfs": libnfs.version(),
    }


Sides = tuple[FolderSystem | ListeningSystem, s3.Endpoint]  # of files, and of objects


class Stack:
    """Running system as a context manager that yields a description for `views.open_views`.

    The system runs on `host`. What shows its files as a folder runs on `client`: the kernel that
    mounts NFS, and SeaweedFS's mount.
    """

    def __init__(self, host: Host, system: str, setting: str, *, client: Host | None = None):
        self._host, self._system, self._setting = host, system, setting
        self._client = client or host
        self._way = Way(self._client, host)
        self._running = ExitStack()

    def __enter__(self) -> dict[str, Any]:
        try:
            if self._system in CONTROLS:
                return {"file": {"kind": "memory", "broken": self._system == BROKEN}, "s3": None}
            files, endpoint = getattr(self, f"_{server_of(self._system)}")()
            return {"file": self._view(files), "s3": self._way.endpoint(endpoint).as_dict()}
        except BaseException:
            self._running.close()
            raise

    def _view(self, files: Any) -> dict[str, Any]:
        """Return the description of the file side, mounted first if the kernel is the client."""
        server = server_of(self._system)
        if mounted := kernel.CLIENTS.get(self._system):
            export = self._way.export(files.export)
            mount = NfsMount(self._client, export, mounted.version, options=mounted.options)
            files = self._running.enter_context(mount)
        if server not in VERSION_OF or mounted:
            return dict(kind="mounted" if mounted else "folder", path=str(files.path))
        kind, version = "libnfs" if self._system in SECOND else "nfs", VERSION_OF[server]
        export = files.export.paths[version].strip("/")
        address = dict(address=self._way.address, port=files.port)
        return dict(kind=kind, **address, version=version, export=export)

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _rclone(self) -> Sides:
        objects = self._running.enter_context(
            rclone.S3(self._host, options=RCLONE_S3[self._setting])
        )
        files = self._running.enter_context(
            rclone.NFS(self._host, objects.files, options=RCLONE_NFS[self._setting])
        )
        return files, objects.endpoint

    def _ganesha(self) -> Sides:
        objects = self._running.enter_context(rclone.S3(self._host, options=RCLONE_S3["strict"]))
        files = self._running.enter_context(
            ganesha.Ganesha(self._host, objects.files, **GANESHA[self._setting])
        )
        return files, objects.endpoint

    def _nfsd(self) -> Sides:
        objects = self._running.enter_context(rclone.S3(self._host, options=RCLONE_S3["strict"]))
        return self._running.enter_context(nfsd.Nfsd(self._host, objects.files)), objects.endpoint

    def _juicefs(self) -> Sides:
        volume = self._running.enter_context(juicefs.JuiceFS(self._host))
        options = JUICEFS[self._setting]
        endpoint = self._running.enter_context(volume.gateway(options=options))
        mount = self._running.enter_context(volume.mount(options=options))
        return mount, endpoint

    def _seaweedfs(self) -> Sides:
        servers = self._running.enter_context(seaweedfs.SeaweedFS(self._host))
        mount = servers.mount(SEAWEEDFS[self._setting], host=self._client)
        self._running.enter_context(mount)
        return mount, servers.endpoint
