"""Processes and how to be sure of their end: death with the parent, adoption, the killing of descendants.

Standard library only: it is sent to target hosts too.
"""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ENDING_S = 20  # that killed processes may take to be gone, on a machine that has much else to do
OUTPUT_BOUND = 20_000  # bytes of each process's output that are kept, the last ones
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent=None, number=signal.SIGKILL):
    """Ask the kernel to send this process a signal when its parent's thread ends (prctl(2), PR_SET_PDEATHSIG). With the
    id of the parent: end at once when that has ended already."""
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def adopt_orphans():
    """Make this process the parent of any descendant whose parent ends (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_descendants(spared=()):
    """Kill and reap every process below this one, but those whose ids are `spared` and what is below them."""
    while left := descendants(os.getpid(), spared):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for pid in left:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass  # a grandchild: it is ours once its parent is reaped


def descendants(pid, spared=()):
    """Return the ids of all processes below `pid`, but `spared` ones and what is below them. Reads the kernel's lists
    of children, which costs far less than a walk over all processes."""
    found = []
    for child in _children(pid):
        if child not in spared:
            found += [child, *descendants(child, spared)]
    return found


def _children(pid):
    """Return the ids of a process's children; those of a task, or of the whole process, that ends meanwhile are none."""
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def outputs(folder):
    """Return what the processes of a trial printed into its folder (`output`, `stdout`, `stderr`), the ends of each."""
    parts = []
    for path in sorted(Path(folder).rglob("*")):
        if path.name in ("output", "stdout", "stderr") and path.is_file() and path.stat().st_size:
            with open(path, "rb") as file:
                file.seek(max(0, path.stat().st_size - OUTPUT_BOUND))
                text = file.read(OUTPUT_BOUND).decode(errors="replace")
            parts.append(f"--- {path.relative_to(folder)}\n{text}")
    return "\n".join(parts)


def kill_marked(mark):
    """Kill the other processes with `mark` (NAME=VALUE) in their environment, and wait for their end. Return how
    many. Processes under another root (a chroot or container that shares /proc) are spared: their paths, and so their
    marks, mean other folders."""
    mark = mark.encode()
    found = [
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if pid != os.getpid() and _carries(pid, mark)
    ]
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    end = time.monotonic() + ENDING_S
    while any(_carries(pid, mark) for pid in found) and time.monotonic() < end:
        time.sleep(0.01)
    return len(found)


def _carries(pid, mark):
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") and os.path.samefile(
            f"/proc/{pid}/root", "/"
        )
    except OSError:
        return False
