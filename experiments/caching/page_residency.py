"""Measure how much of a file the kernel's page cache holds, and join the cgroup that limits it."""

import ctypes
import mmap
import os
from pathlib import Path


def join(group):
    """Move this process into the cgroup at folder `group`.

    The kernel keeps charging memory that the process already uses to its old cgroup.
    """
    (Path(group) / "cgroup.procs").write_text(str(os.getpid()))


def resident(path):
    """Return how many bytes of the file at `path` the page cache holds, in whole pages."""
    size = os.path.getsize(path)
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view,
    ):
        pages = -(-size // mmap.PAGESIZE)
        states = (ctypes.c_ubyte * pages)()
        anchor = ctypes.c_char.from_buffer(view)
        failed = ctypes.CDLL(None, use_errno=True).mincore(
            ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), states
        )
        del anchor
        if failed:
            raise OSError(ctypes.get_errno(), f"mincore of {path}")
        return mmap.PAGESIZE * sum(state & 1 for state in states)
