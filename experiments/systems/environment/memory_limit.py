"""Less memory, and private disks: a memory cgroup, dropped caches, file systems in a file.

All of it needs root.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchpaper import Host, HostError

MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}
LEAST_MB = {"ext4": 16, "xfs": 300, "btrfs": 128}


class MemoryLimit:
    """Memory cgroup of `mebibytes` MiB, page cache included, as a context manager.

    `wrap(argv)` runs commands in it.
    """

    ROOT = Path("/sys/fs/cgroup")
    folder: Path

    def __init__(self, host: Host, mebibytes: float):
        self._host, self._bytes = host, int(mebibytes * 2**20)

    def __enter__(self) -> Self:
        run = self._host.run
        root, limit = self.ROOT / "memory", "memory.limit_in_bytes"  # version 1 of cgroups
        if run(["test", "-e", root / limit], check=False).returncode:
            root, limit = self.ROOT, "memory.max"
        self.folder = root / f"benchpaper-{secrets.token_hex(4)}"
        self._host.undo("a memory cgroup", ["rmdir", self.folder])
        run(["mkdir", self.folder])
        run(["sh", "-c", f'echo {self._bytes} > "$0"', self.folder / limit])
        return self

    def __exit__(self, *_: object) -> None:
        self._host.run(["rmdir", self.folder])

    def wrap(self, argv: Sequence[Any]) -> list[Any]:
        """Return the command line that runs `argv` inside the limit."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', self.folder / "cgroup.procs", *argv]

    def stats(self):
        """Return the kernel's counters of the group: {name: number}.

        The page cache in bytes is `cache` in version 1 of cgroups, and `file` in version 2;
        `page_cache_bytes` is whichever exists.
        """
        lines = self._host.run(["cat", self.folder / "memory.stat"]).stdout.split("\n")
        counters = {name: int(value) for name, value in (line.split() for line in lines if line)}
        page_cache = counters.get("cache", counters.get("file"))
        return {**counters, "page_cache_bytes": page_cache}


def device_bytes_read(host: Host, path: Path | str) -> int:
    """Return how many bytes the block device under `path` has read since it came up.

    The kernel counts them. Raises `HostError` if no block device is under it (tmpfs, FUSE).
    """
    number = host.run(["findmnt", "-n", "-o", "MAJ:MIN", "--target", path]).stdout.split()[0]
    done = host.run(["cat", f"/sys/dev/block/{number}/stat"], check=False)
    if done.returncode:
        raise HostError(
            f"no block device lies under {path} on {host.name}; its reads cannot be counted"
        )
    return int(done.stdout.split()[2]) * 512  # always in sectors of 512 B


def drop_caches(host: Host) -> None:
    """Write everything out, and empty the page cache of the whole host."""
    host.run(["sync"])
    host.run(["sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"])


class LoopFileSystem:
    """File system of a `kind` (ext4, xfs, btrfs) in a scratch file, mounted at `path`.

    `size_mb` is its size. The loop device reads the file past the page cache, so that data are
    cached once, not twice, and count in `device_bytes_read`.
    """

    path: Path

    def __init__(self, host: Host, kind: str, size_mb: int):
        if kind not in MAKE:
            raise ValueError(f'file system "{kind}" must be one of {", ".join(MAKE)}')
        if size_mb < LEAST_MB[kind]:
            raise ValueError(
                f"{size_mb} MB is less than {kind} takes; give {LEAST_MB[kind]} or more"
            )
        self._host, self._kind, self._size_mb = host, kind, size_mb

    def __enter__(self) -> Self:
        run, folder = self._host.run, self._host.scratch()
        image, self.path = folder / "image", folder / "mounted"
        run(["truncate", "-s", f"{self._size_mb}M", image])
        run([*MAKE[self._kind], image])
        run(["mkdir", self.path])
        self._host.undo("a mount", ["umount", self.path])  # this frees the loop device too
        run(["mount", "-o", "loop", image, self.path])
        device = run(["findmnt", "-n", "-o", "SOURCE", "--mountpoint", self.path]).stdout.strip()
        # Not every file system below supports it.
        run(["losetup", "--direct-io=on", device], check=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._host.run(["umount", self.path])
