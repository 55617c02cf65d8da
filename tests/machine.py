"""Compare this machine before and after the tests, and clean up after killed suites."""

import contextlib
import os
import time
from pathlib import Path

import psutil

from benchpaper.core.processes import kill_marked
from benchpaper.hosts import cleanup
from benchpaper.hosts.lab import namespaces as labs
from benchpaper.hosts.lab import owners

MARK = "BENCHPAPER_TEST_RUN"  # in the environment of every process that these tests start
SETTLING_S = 30.0
NOBODYS = (
    "network namespaces",
    "POSIX shared memory",
    "System V shared memory",
)  # they do not say whose they are


def machine(base):
    """Return {kind: what exists now}.

    Others use the machine too: where the owner is known, only what this test run owns counts.
    `base` is the folder of all its temporary folders.
    """
    mark = f"{MARK}={os.environ.get(MARK)}"
    started = [
        process for process in psutil.process_iter() if mark in _marks(process) and _runs(process)
    ]
    listening = [
        connection.laddr for process in [*started,
            psutil.Process()] for connection in _connections(process)
        if connection.status == psutil.CONN_LISTEN
    ]  # fmt: skip
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    segments = [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    labs_of_ours, namespaces = _namespaces(base)
    return {
        "processes": {
            (process.pid, *words) for process in started if (words := _words(process)) is not None
        },
        "listening ports": set(listening),
        "mounts": {point for point in mounts if point.startswith(f"{base}/")},
        "labs": labs_of_ours,
        "network namespaces": namespaces,
        "POSIX shared memory": {path.name for path in Path("/dev/shm").iterdir()},
        "System V shared memory": set(segments),
    }


def left_on_the_machine(base, before, seconds=SETTLING_S):
    """Return {kind: what exists now and did not before}, once it stays for `seconds`.

    While another suite runs, things without a known owner count only if our process id is in
    their name.
    """
    end = time.monotonic() + seconds
    while True:
        now = machine(base)
        left = {kind: now[kind] - before[kind] for kind in now}
        if any(left[kind] for kind in NOBODYS) and _another_suite_runs():
            for kind in NOBODYS:
                left[kind] = {name for name in left[kind] if name.endswith(f"-{os.getpid()}")}
        left = {kind: leftovers for kind, leftovers in left.items() if leftovers}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


def sweep_up_after_killed_suites(base):
    """Remove what killed test runs left: processes, labs, and whatever their trials noted."""
    marks = {mark for process in psutil.process_iter() for mark in _marks(process)}
    for mark in marks:
        if not psutil.pid_exists(int(mark.partition("=")[2].partition("-")[0])):
            kill_marked(mark)
    if os.geteuid() == 0:
        labs.sweep()
    runs = base.parent.parent if base.name.startswith("popen-") else base.parent
    trials = "*/project/.benchpaper/scratch/trial-*"
    for lock in runs.glob("pytest-*/.lock"):  # pytest writes its process id there
        with contextlib.suppress(OSError, ValueError):
            if not psutil.pid_exists(int(lock.read_text())):
                for scratch in [*lock.parent.glob(trials), *lock.parent.glob(f"*/{trials}")]:
                    cleanup.clear(scratch)


def _marks(process):
    """The mark of the run of the tests to which a process belongs, as a list of none or one."""
    try:
        variables = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
    return [
        v.decode()
        for v in variables
        if v.startswith(f"{MARK}=".encode()) and process.pid != os.getpid()
    ]


def _runs(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _words(process):
    """The command line of a process, or None when it has ended since."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return None


def _connections(process):
    try:
        return process.net_connections(kind="tcp")
    except psutil.Error:
        return []


def _namespaces(base):
    """Return (the network namespaces of this run's labs, those that belong to no lab)."""
    folder = Path("/run/netns")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    of_labs = {
        name: root for mark, root in owners.roots().items() for name in names if f"-{mark}-" in name
    }
    return {name for name, root in of_labs.items() if root.is_relative_to(base)}, names - set(
        of_labs
    )


def _another_suite_runs():
    """True while another pytest runs, or another worker of this one."""
    if "PYTEST_XDIST_WORKER" in os.environ and len(psutil.Process(os.getppid()).children()) > 1:
        return True
    ours = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    ours |= {
        parent.pid for parent in psutil.Process().parents()
    }  # a shell whose command line names pytest, timeout
    processes = psutil.process_iter(["cmdline"])
    return any(
        "pytest" in word
        for process in processes
        if process.pid not in ours
        for word in process.info["cmdline"] or ()
    )
