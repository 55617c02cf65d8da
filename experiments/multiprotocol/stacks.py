"""Systems with their two sides, and how each is started.

nfs-rs speaks NFS, and libnfs to `rgw`. The systems of `SECOND` are servers that both reach, here by
libnfs, and those of `kernel.CLIENTS` by the kernel's client: what all clients see comes from the
server. In the systems of `SIDE_BY_SIDE`, two gateways of one system serve the same data. Where the
file side of such a system is a gateway too, it is an S3 client that uses whole objects as files.
"""

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeVar

from benchpaper import Host
from experiments.multiprotocol import kernel, settings
from experiments.multiprotocol.way import Way
from experiments.systems import (
    ceph,
    ganesha,
    juicefs,
    libnfs,
    nfs,
    nfsd,
    rclone,
    restarting,
    s3,
    s3fs,
    seaweedfs,
)
from experiments.systems.nfs_mount import NfsMount

LOCKED, BROKEN = "locked store", "broken store"
CONTROLS = (LOCKED, BROKEN)
SYSTEMS = ("rclone", "juicefs", "seaweedfs", "ganesha")
LOCAL = "local files"  # one folder, and no server: what programs that share files do to each other
LATER = ("rgw", "rclone mount", "s3fs")  # they are in no reference results yet
SIDE_BY_SIDE = ("juicefs gateways", "seaweedfs filers", "rclone gateways")
ALL = (*SYSTEMS, *LATER, *SIDE_BY_SIDE)  # that need no guest
SECOND = {f"{server} libnfs": server for server in ("rclone", "ganesha")}
# nfs-rs reads beyond the end of files, which NFS-Ganesha over RGW answers with an error.
BY_LIBNFS = (*SECOND, "rgw")
IN_GUESTS = ("nfsd",)  # systems that only a guest can run
LEVELS = (*CONTROLS, LOCAL, *ALL, *SECOND, *IN_GUESTS, *kernel.CLIENTS)
SETTINGS = settings.SETTINGS
VERSION_OF = {"rclone": "3", "ganesha": "4.1", "rgw": "4.0", "nfsd": "4.1"}  # of NFS, in user space

NEEDS = {
    "rclone": [*rclone.NEEDS_S3, *rclone.NEEDS_NFS, s3.BOTO],
    "juicefs": ["fuse", "shared_host", juicefs.PACKAGE, s3.PACKAGE, s3.BOTO],  # a metadata file
    "seaweedfs": ["fuse", *seaweedfs.NEEDS, s3.BOTO],
    "ganesha": ["ganesha", "root", *rclone.NEEDS_S3, nfs.PACKAGE, s3.BOTO],
    "rgw": ["rgw", "root", *ceph.NEEDS, s3.BOTO],
    "rclone mount": ["fuse", rclone.PACKAGE, *seaweedfs.NEEDS, s3.BOTO],
    "s3fs": ["fuse", "s3fs", *seaweedfs.NEEDS, s3.BOTO],
    "juicefs gateways": ["shared_host", juicefs.PACKAGE, s3.PACKAGE, s3.BOTO],
    "seaweedfs filers": ["fuse", *seaweedfs.NEEDS, s3.BOTO],
    "rclone gateways": [*rclone.NEEDS_S3, s3.BOTO],
    "nfsd": ["nfsd", *rclone.NEEDS_S3, nfs.PACKAGE, s3.BOTO],
}


def server_of(system):
    """Return the system without its client."""
    if system in kernel.CLIENTS:
        return kernel.CLIENTS[system].server
    return SECOND.get(system, system)


def valid(system, setting):
    """True if the system has this setting: the controls have one, other clients at most two."""
    those = settings.OF.get(server_of(system), settings.ONLY_DEFAULT)
    return setting in those and (system in ALL or setting != "relaxed")


def needs(system):
    """Return the capabilities that starting a system needs."""
    client = ["libnfs"] if system in BY_LIBNFS else []
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
        "ceph": ceph.version(),
        "s3fs": s3fs.version(),
    }


Started = TypeVar("Started")
Sides = tuple[Path | nfs.Server | s3.Endpoint, s3.Endpoint]  # of files, and of objects


class Stack:
    """Running system as a context manager that yields a description for `views.open_views`.

    The system runs on `host`. What shows its files as a folder runs on `client`: the kernel that
    mounts NFS, and the mounts that reach their server by a network. If the file side is an NFS
    server, `export` is for more mounts.
    """

    export: nfs.Export

    def __init__(self, host: Host, system: str, setting: str, *, client: Host | None = None):
        self._host, self._system, self._setting = host, system, setting
        self._client = client or host
        self._way = Way(self._client, host)
        self._running = ExitStack()
        self._latest: Any = None  # of what was started
        self._file_server: Any = None

    def __enter__(self) -> dict[str, Any]:
        try:
            if self._system in CONTROLS:
                return {"file": {"kind": "memory", "broken": self._system == BROKEN}, "s3": None}
            if self._system == LOCAL:
                folder = str(self._client.scratch())
                return {"file": {"kind": "folder", "path": folder}, "s3": None}
            start = getattr(self, f"_{server_of(self._system).replace(' ', '_')}")
            files, endpoint = start()
            if not isinstance(files, s3.Endpoint):
                self._file_server = self._latest
            return {"file": self._view(files), "s3": self._way.endpoint(endpoint).as_dict()}
        except BaseException:
            self._running.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def restartable(self) -> bool:
        """Whether the file side has a server of its own, which is no part of a kernel."""
        return self._system in CONTROLS or hasattr(self._file_server, "process")

    def restart(self) -> None:
        """Kill the server of the file side, and start it again; return once it answers."""
        if self._system not in CONTROLS:  # those live in the probe
            restarting.restart(self._file_server)

    def _started(self, system: AbstractContextManager[Started]) -> Started:
        self._latest = self._running.enter_context(system)
        return self._latest

    def _view(self, files: Path | nfs.Server | s3.Endpoint) -> dict[str, Any]:
        """Return the description of the file side, mounted first if the kernel is the client."""
        if isinstance(files, s3.Endpoint):
            return dict(kind="gateway", endpoint=self._way.endpoint(files).as_dict())
        if isinstance(files, Path):
            return dict(kind="folder", path=str(files))
        self.export = self._way.export(files.export)
        if mounted := kernel.CLIENTS.get(self._system):
            return dict(
                kind="mounted", paths=[self._mount(files, mounted) for _ in range(mounted.mounts)]
            )
        version = VERSION_OF[server_of(self._system)]
        return dict(
            kind="libnfs" if self._system in BY_LIBNFS else "nfs",
            address=self._way.address,
            port=files.port,
            version=version,
            export=files.export.paths[version].strip("/"),
        )

    def _mount(self, files: nfs.Server, mounted: kernel.Client) -> str:
        export = self._way.export(files.export)
        mount = NfsMount(self._client, export, mounted.version, options=mounted.options)
        return str(self._started(mount).path)

    # ---- how each system is started ----

    def _rclone(self) -> Sides:
        objects = self._started(rclone.S3(self._host, options=settings.RCLONE_S3[self._setting]))
        options = settings.RCLONE_NFS[self._setting]
        files = self._started(rclone.NFS(self._host, objects.files, options=options))
        return files, objects.endpoint

    def _served_folder(self) -> rclone.S3:
        """Start the S3 server over a folder that another server exports."""
        return self._started(rclone.S3(self._host, options=settings.RCLONE_S3["strict"]))

    def _ganesha(self) -> Sides:
        objects, options = self._served_folder(), settings.GANESHA[self._setting]
        files = self._started(ganesha.Ganesha(self._host, objects.files, **options))
        return files, objects.endpoint

    def _nfsd(self) -> Sides:
        objects, client = self._served_folder(), kernel.CLIENTS.get(self._system)
        delegations = client is None or client.delegations
        files = self._started(nfsd.Nfsd(self._host, objects.files, delegations=delegations))
        return files, objects.endpoint

    def _rgw(self) -> Sides:
        objects = self._started(ceph.Rgw(self._host))
        files = self._started(objects.files(**settings.GANESHA[self._setting]))
        return files, objects.endpoint

    def _juicefs(self) -> Sides:
        volume, options = (
            self._started(juicefs.JuiceFS(self._host)),
            settings.JUICEFS[self._setting],
        )
        endpoint = self._started(volume.gateway(options=options))
        return self._started(volume.mount(options=options)).path, endpoint

    def _juicefs_gateways(self) -> Sides:
        volume, options = (
            self._started(juicefs.JuiceFS(self._host)),
            settings.JUICEFS[self._setting],
        )
        first, second = (self._started(volume.gateway(options=options)) for _ in range(2))
        return second, first

    def _rclone_gateways(self) -> Sides:
        options = settings.RCLONE_S3[self._setting]
        first = self._started(rclone.S3(self._host, options=options))
        second = self._started(rclone.S3(self._host, first.folder, options=options))
        return second.endpoint, first.endpoint

    def _seaweedfs(self) -> Sides:
        servers = self._started(seaweedfs.SeaweedFS(self._host))
        options = settings.SEAWEEDFS[self._setting]
        return self._started(servers.mount(options, host=self._client)).path, servers.endpoint

    def _seaweedfs_filers(self) -> Sides:
        servers = self._started(seaweedfs.SeaweedFS(self._host))
        filer = self._started(servers.another_filer())
        options = settings.SEAWEEDFS[self._setting]
        mount = servers.mount(options, host=self._client, filer=filer)
        return self._started(mount).path, servers.endpoint

    def _rclone_mount(self) -> Sides:
        servers = self._started(seaweedfs.SeaweedFS(self._host))
        options = settings.RCLONE_MOUNT[self._setting]
        mount = rclone.Mount(self._client, self._way.endpoint(servers.endpoint), **options)
        return self._started(mount).path, servers.endpoint

    def _s3fs(self) -> Sides:
        servers = self._started(seaweedfs.SeaweedFS(self._host))
        endpoint = self._way.endpoint(servers.endpoint)
        mount = s3fs.S3fs(self._client, endpoint, options=settings.S3FS[self._setting])
        return self._started(mount).path, servers.endpoint
