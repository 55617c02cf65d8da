"""Make sure that processes end: death with the parent, adoption of orphans, killing descendants.

What a killed controller leaves behind has no ancestor of ours any more. Two marks find it. One is a
variable in the environment, which a daemon may clear. The other (`brand`) is a resource limit,
which survives fork, exec, setsid, and a cleared environment.

Standard library only, because this module is sent to target hosts too.
"""

import ctypes
import hashlib
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from benchpaper.core import excerpt

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ENDING_S = 20  # how long killed processes may take to be gone on a busy machine
LOOK_S = 0.001
OUTPUT_BOUND = 20_000  # bytes kept of each process's output, counted from its end
# Its unit is µs of a real-time process without a system call. A brand is more than 100,000 years,
# so the kernel never enforces it, and nothing that is measured changes.
BRANDED_LIMIT, LEAST_BRAND = resource.RLIMIT_RTTIME, 1 << 62
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


class Child(Protocol):
    """A process of ours, such as `subprocess.Popen`."""

    @property
    def args(self) -> Any: ...

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...


def wait(process: Child, seconds: float) -> int:
    """Return the exit status of a process, as `Popen.wait` does.

    `Popen.wait` looks every few milliseconds; here the kernel tells (pidfd_open(2)). Raises
    `subprocess.TimeoutExpired`.
    """
    if (status := process.poll()) is not None:
        return status
    end = time.monotonic() + seconds
    with suppress(OSError):  # an old kernel has none, or another thread has reaped the process
        descriptor = os.pidfd_open(process.pid)
        try:
            ending = select.poll()
            ending.register(descriptor, select.POLLIN)
            ending.poll(1e3 * seconds)
        finally:
            os.close(descriptor)
    while (status := process.poll()) is None:
        if time.monotonic() >= end:
            raise subprocess.TimeoutExpired(process.args, seconds)
        time.sleep(LOOK_S)
    return status


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


def brand(mark: str) -> bool:
    """Write `mark` (NAME=VALUE) into a limit of this process, which all its descendants inherit.

    Returns False where the system's own limit leaves no room for it.
    """
    hard = resource.getrlimit(BRANDED_LIMIT)[1]
    try:
        resource.setrlimit(BRANDED_LIMIT, (_number(mark), hard))
    except (ValueError, OSError):  # above a hard limit
        return False
    return True


def _number(mark: str) -> int:
    """Return the limit that stands for a mark. Under another root the same path means another."""
    root = os.stat("/")
    digest = hashlib.sha256(f"{mark} {root.st_dev} {root.st_ino}".encode()).digest()
    return LEAST_BRAND | int.from_bytes(digest[:7], "little")


def kill_marked(mark: str) -> int:
    """Kill the other processes with `mark` (NAME=VALUE) in environment or limits; return how many.

    Repeats until no process has it, for at most `ENDING_S` seconds: they may multiply meanwhile. A
    process that forks and exits faster than /proc can be read may be missed; a control group
    (`core.control_group`) misses none.
    """
    variable, limit, killed = mark.encode(), _number(mark), set[int]()
    end = time.monotonic() + ENDING_S
    while pids := _carriers(variable, limit):
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(pids)
        if time.monotonic() > end:
            break
        time.sleep(0.01)
    return len(killed)


def _carriers(variable: bytes, limit: int) -> list[int]:
    pids = map(int, filter(str.isdigit, os.listdir("/proc")))
    return [
        pid for pid in pids if pid != os.getpid() and (_branded(pid, limit) or _has(pid, variable))
    ]


def _branded(pid: int, limit: int) -> bool:
    try:
        return resource.prlimit(pid, BRANDED_LIMIT)[0] == limit and not _is_zombie(pid)
    except OSError:  # another user's process, or it has ended
        return False


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in b"ZX"


def _has(pid: int, variable: bytes) -> bool:
    """Return whether a process has `variable` (NAME=VALUE) in its environment.

    Spares processes under another root (a chroot or container that shares /proc): the paths in
    their variables mean other folders.
    """
    try:
        return variable in Path(f"/proc/{pid}/environ").read_bytes().split(
            b"\0"
        ) and os.path.samefile(f"/proc/{pid}/root", "/")
    except OSError:
        return False
