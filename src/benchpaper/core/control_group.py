"""A control group (cgroups, version 2) of one's own: the kernel lists and kills all that is in it.

No process leaves a group by forking, by setsid, or by clearing its environment. Entering one takes
over 10 ms, in which the kernel waits for all CPUs, so enter it once and not per trial. The group
lies below the present one and has no controllers, so it changes no share of CPU, memory, or I/O.
Many machines allow no groups: those with version 1 alone, most containers, and sessions of users
without delegation.
"""

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

PREFIX = "benchpaper-"
ENDING_S = 20.0


def present() -> Path | None:
    """Return the folder of this process's group, or None without version 2."""
    with suppress(OSError, StopIteration):
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        mounted = next(line.split() for line in mounts if " - cgroup2 " in line)
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        name = next(line[3:] for line in lines if line.startswith("0::"))
        root, point = mounted[3], mounted[4]
        if root != "/" and name.startswith(root):  # a part of the tree is mounted
            name = name[len(root) :]
        return Path(f"{point}/{name.strip('/')}")
    return None


def make() -> Path | None:
    """Make a group below this process's, and return its folder; None where that is not allowed."""
    parent = present()
    try:
        if parent is None or (parent / "cgroup.subtree_control").read_text().strip():
            return None  # it would get controllers
        _remove_abandoned(parent)
        folder = parent / f"{PREFIX}{os.getpid()}-{time.monotonic_ns()}"
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    if not (folder / "cgroup.kill").exists():  # Linux before 5.14
        folder.rmdir()
        return None
    return folder


def _remove_abandoned(parent: Path) -> None:
    """Remove the empty groups of processes that were killed; others cannot be removed this way."""
    for folder in parent.glob(f"{PREFIX}*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            with suppress(OSError):
                folder.rmdir()


def available() -> bool:
    """Return whether this process can make a group."""
    folder = make()
    if folder:
        folder.rmdir()
    return folder is not None


def enter(folder: Path) -> bool:
    """Move this process into a group. Return False if that is not allowed."""
    try:
        (folder / "cgroup.procs").write_text("0")
    except OSError:
        return False
    return True


def dissolve(folder: Path, into: Path) -> None:
    """Move what is in a group, this process included, into another one, and remove the group."""
    while pids := processes(folder):
        for pid in pids:
            with suppress(ProcessLookupError):
                (into / "cgroup.procs").write_text(str(pid))
    _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    """Remove a group and those below it; for some moments the dead are still in them."""
    end = time.monotonic() + ENDING_S
    while folder.exists() and time.monotonic() < end:
        for inner in _tree(folder):
            with suppress(OSError):
                inner.rmdir()
        if folder.exists():
            time.sleep(0.002)


def _tree(folder: Path) -> list[Path]:
    """Return a group and those that its processes have made below it, the deepest first."""
    return [Path(path) for path, _, _ in os.walk(folder, topdown=False)]


def processes(folder: Path) -> set[int]:
    """Return the ids of all processes in a group and below; an empty set if it is gone."""
    pids: set[int] = set()
    for inner in _tree(folder):
        with suppress(OSError):
            pids.update(map(int, (inner / "cgroup.procs").read_text().split()))
    return pids


def others(folder: Path, spared: Collection[int]) -> set[int]:
    """Return the ids of the processes in a group, except for this one and those in `spared`."""
    return processes(folder) - {os.getpid(), *spared}


def remove(folder: Path) -> int:
    """Kill everything in a group, wait for its end, and remove it. Return how many were killed.

    This process must not be in it.
    """
    if not folder.name.startswith(PREFIX) or os.getpid() in (pids := processes(folder)):
        return 0
    with suppress(OSError):
        (folder / "cgroup.kill").write_text("1")
    _remove_empty(folder)
    return len(pids)
