"""A memory cgroup around a reader: how much of its files the kernel may keep. Version 1 and 2 of the interface.

Version 2 was written from its documentation; the authors' machine has version 1.
"""

import ctypes
import mmap
import os
from pathlib import Path

from benchpaper.hosts.probe import capability

V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
NAME = "benchpaper-reader-{}"


def _root():
    return V1 if V1.is_dir() else V2


@capability("memcg", "making a cgroup that limits memory", "run as root, with the cgroup's memory controller")
def check():
    """Return (whether a group can be made here, why not)."""
    root = _root()
    if root == V2 and "memory" not in _text(V2 / "cgroup.subtree_control"):
        return False, "no memory controller"
    return os.access(root, os.W_OK) and os.geteuid() == 0, f"version {1 if root == V1 else 2}"


def make(host, mark):
    """Make a group on a host, note its removal, and return its folder. `mark` tells it from others."""
    version_1 = host.run(["test", "-d", V1], check=False).returncode == 0
    folder = (V1 if version_1 else V2) / NAME.format(mark)
    host.undo("a memory cgroup", ["sh", "-c", f"rmdir {folder} 2>/dev/null || true"])
    host.run(["mkdir", folder])
    return folder


def confine(folder, keep_bytes):
    """Put this process into the group and leave it `keep_bytes` of files beyond what it needs itself now."""
    folder = Path(folder)
    (folder / "cgroup.procs").write_text(str(os.getpid()))
    limit = folder / "memory.limit_in_bytes"
    if not limit.exists():
        limit = folder / "memory.max"
    limit.write_text(str(keep_bytes))


def resident(path):
    """Return how many bytes of a file the kernel's page cache holds."""
    size = os.path.getsize(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
        pages = -(-size // mmap.PAGESIZE)
        states = (ctypes.c_ubyte * pages)()
        anchor = ctypes.c_char.from_buffer(view)
        failed = ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), states)
        del anchor
        if failed:
            raise OSError(ctypes.get_errno(), f"mincore of {path}")
        return mmap.PAGESIZE * sum(state & 1 for state in states)


def _text(path):
    try:
        return path.read_text()
    except OSError:
        return ""
