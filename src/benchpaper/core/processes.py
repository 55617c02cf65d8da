"""Make sure that processes end: death with the parent, adoption of orphans, killing descendants.

Standard library only, because this module is sent to target hosts too.
"""

import ctypes
import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from benchpaper.core import excerpt

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ENDING_S = 20  # how long killed processes may take to be gone on a busy machine
OUTPUT_BOUND = 20_000  # bytes kept of each process's output, counted from its end
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int | None = None, number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent's thread ends.

    That is prctl(2), PR_SET_PDEATHSIG. Given the id of the parent, exit at once if it has ended
    already.
    """
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of orphaned descendants (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_descendants(spared: Collection[int] = ()) -> None:
    """Kill and reap all descendants of this process, except those in `spared` and below them."""
    while pids := descendants(os.getpid(), spared):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            with suppress(ChildProcessError):  # a grandchild becomes ours once its parent is reaped
                os.waitpid(pid, 0)


def descendants(pid: int, spared: Collection[int] = ()) -> list[int]:
    """Return the ids of all processes below `pid`, except those in `spared` and below them.

    Reads the kernel's lists of children, which is far cheaper than a walk over all processes.
    """
    pids = []
    for child in _children(pid):
        if child not in spared:
            pids += [child, *descendants(child, spared)]
    return pids


def _children(pid: int) -> list[int]:
    """Return the ids of a process's children. A task or process that ends meanwhile has none."""
    pids: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                pids += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return pids


def outputs(folder: Path | str) -> str:
    """Return the last `OUTPUT_BOUND` bytes of each output file in a trial's folder, as one text.

    Output files are called `output`, `stdout`, or `stderr`.
    """
    parts = []
    for path in sorted(Path(folder).rglob("*")):
        if path.name in ("output", "stdout", "stderr") and path.is_file() and path.stat().st_size:
            with open(path, "rb") as file:
                file.seek(max(0, path.stat().st_size - OUTPUT_BOUND - 1))
                text = excerpt.tail(file.read(OUTPUT_BOUND + 1), OUTPUT_BOUND)
            parts.append(f"--- {path.relative_to(folder)}\n{text}")
    return "\n".join(parts)


def kill_marked(mark: str) -> int:
    """Kill the other processes with `mark` (NAME=VALUE) in their environment; return how many.

    Waits up to `ENDING_S` seconds for their end. Spares processes under another root (a chroot or
    container that shares /proc): their paths, and so their marks, mean other folders.
    """
    wanted = mark.encode()
    pids = [
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if pid != os.getpid() and _carries(pid, wanted)
    ]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + ENDING_S
    while any(_carries(pid, wanted) for pid in pids) and time.monotonic() < end:
        time.sleep(0.01)
    return len(pids)


def _carries(pid: int, mark: bytes) -> bool:
    """Return whether a process under our root has `mark` in its environment."""
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") and os.path.samefile(
            f"/proc/{pid}/root", "/"
        )
    except OSError:
        return False
