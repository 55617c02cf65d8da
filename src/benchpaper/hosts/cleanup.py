"""Removes what a trial leaves on a machine: at its end, or in the next run if it was killed.

Each trial has a scratch folder. Before a trial makes something elsewhere, it leaves a note in that
folder: an undo for each mount, namespace or cgroup (`note_undo`), and which shared memory existed
before (`note_shared_memory`). If a scratch folder still exists at the next run, its trial is dead,
and `sweep` cleans up in its place.
"""

import ctypes
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from benchpaper.core import control_group, mounts, temporary
from benchpaper.core.events import VARIABLE
from benchpaper.core.private import own_folder
from benchpaper.core.processes import kill_marked

UNDO_PREFIX, SHARED_MEMORY = "undo-", "shared-memory.json"
GROUPS = "groups"  # a file per control group, named like it, with its path
TRIAL_MARK = "BENCHPAPER_TRIAL"  # of every process of a trial, on this machine and on hosts
UNDO_TIMEOUT_S = 20
CONTAINER = "a container"  # of a daemon, perhaps: no kill of the trial's processes ends it
# CLOCK_REALTIME_COARSE (clock_gettime(2)): like file times, up to a tick behind the time of day.
CLOCK_OF_FILES = 5
IPC_RMID = 0
HALF_WRITTEN = (
    "results/**/.*.tmp",
    "results/**/*.part",
    "build/**/.*.part*",
    "build/**/*.part",
    "build/**/*.part.ipynb",
    "artifacts/reference/**/.*.part",
    "analysis/.*.part",
    ".benchpaper/.*.part",
)


class Checkout(Protocol):
    """The folders of a checkout that `sweep` cleans; `core.project.Project` has them."""

    @property
    def root(self) -> Path: ...

    @property
    def state(self) -> Path: ...


def note_undo(scratch: Path | str, what: str, argv: Sequence[object]) -> None:
    """Note in a scratch folder that the command `argv` removes `what`.

    Call this before making the thing. The undo of a thing that was never made does no harm.
    """
    # The name tells the order, to the nanosecond: two files of one tick have the same time.
    name = f"{UNDO_PREFIX}{time.monotonic_ns():020d}-{threading.get_native_id()}.json"
    note = {"what": what, "argv": [str(part) for part in argv]}
    (Path(scratch) / name).write_text(json.dumps(note))


def note_shared_memory(scratch: Path | str, seconds: float) -> None:
    """Note which shared memory exists, so that `clear` removes only what the trial adds.

    The trial may run for `seconds`. Younger shared memory belongs to another process.
    """
    now = time.clock_gettime(CLOCK_OF_FILES)
    before = {
        "sysv": sorted(_sysv()),
        "posix": sorted(_posix()),
        "since": now,
        "until": now + seconds,
    }
    (Path(scratch) / SHARED_MEMORY).write_text(json.dumps(before))


def clear(scratch: Path | str) -> list[str]:
    """Remove what a trial has left, and its scratch folder. Its processes must be gone.

    Returns the leftovers in words: an empty list if the trial tidied up after itself.
    """
    folder = Path(scratch)
    removed = _undo_notes(folder) + _clear_shared_memory(folder)
    for point in mounts.below(folder):
        if _succeeds(["umount", point]) or _succeeds(["umount", "--lazy", point]):
            removed.append("a mount")
    if not mounts.below(folder):  # else this would remove the files that are mounted there
        shutil.rmtree(folder, ignore_errors=True)
    return removed


def end_containers(state: Path) -> None:
    """End the containers of killed trials at once; `sweep` removes all else in the next run."""
    for scratch in (state / "scratch").glob("trial-*"):
        _undo_notes(scratch, only=CONTAINER)


def _undo_notes(scratch: Path, only: str = "") -> list[str]:
    """Run the undo notes of a trial, the last one first. Return what they removed, in words.

    With `only`, run those that remove such a thing.
    """
    # Its own notes and those of each role; deeper files are the trial's data.
    notes = [*scratch.glob(f"{UNDO_PREFIX}*.json"), *scratch.glob(f"*/{UNDO_PREFIX}*.json")]
    removed = []
    for path in sorted(notes, key=lambda path: path.name, reverse=True):
        try:
            note = json.loads(path.read_text())
        except ValueError:
            continue  # the kill cut the note short, so the thing was not made yet
        if only in ("", note["what"]) and _succeeds(note["argv"]):
            removed.append(note["what"])
    return removed


def _succeeds(argv: Sequence[Path | str]) -> bool:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=UNDO_TIMEOUT_S
        )
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _clear_shared_memory(scratch: Path) -> list[str]:
    """Remove shared memory that the trial made and nothing uses. Return it in words."""
    try:
        before = json.loads((scratch / SHARED_MEMORY).read_text())
    except (OSError, ValueError):
        return []

    def is_new(made: float) -> bool:
        return before["since"] <= made <= before["until"]

    segments = {key for key, made in _sysv().items() if is_new(made)} - set(before["sysv"])
    for segment in sorted(segments):
        ctypes.CDLL(None).shmctl(segment, IPC_RMID, None)
    names = {name for name, made in _posix().items() if is_new(made)} - set(before["posix"])
    unused = names - _in_use() if names else names
    for name in sorted(unused):
        (Path("/dev/shm") / name).unlink(missing_ok=True)
    return ["a System V shared-memory segment"] * len(segments) + [
        "a POSIX shared-memory object"
    ] * len(unused)


def _sysv() -> dict[int, float]:
    """Return {id: end of the second in which it was made} of abandoned System V segments.

    They belong to this user, no process is attached to them, and their maker is gone.
    """
    segments: dict[int, float] = {}
    for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        fields = line.split()
        segment, maker, attached, owner, made = (int(fields[column]) for column in (1, 4, 6, 7, 13))
        if attached == 0 and owner == os.geteuid() and not _is_running(maker):
            segments[segment] = made + 1
    return segments


def _is_running(pid: int | str) -> bool:
    """True if the process is alive; zombies count as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _posix() -> dict[str, float]:
    """Return {name: time of its last change} of this user's POSIX shared-memory objects."""
    objects = {}
    with suppress(OSError), os.scandir("/dev/shm") as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if entry.is_file(follow_symlinks=False) and status.st_uid == os.geteuid():
                    objects[entry.name] = status.st_ctime
    return objects


def _in_use() -> set[str]:
    """Return the names below /dev/shm that some process has mapped or open."""
    used: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or belongs to another user
            mapped = [
                line.split()[5]
                for line in (process / "maps").read_text().splitlines()
                if " /dev/shm/" in line
            ]
            used.update(Path(path).name for path in mapped)
            with os.scandir(process / "fd") as descriptors:
                for descriptor in descriptors:
                    target = os.readlink(descriptor.path)
                    if target.startswith("/dev/shm/"):
                        used.add(Path(target).name)
    return used


def sweep(project: Checkout) -> list[str]:
    """Remove what killed runs in this checkout have left, and return it in words.

    Call this while nothing runs, and while this process holds the run's lock.
    """
    removed = _kill_processes(project)
    for scratch in sorted((project.state / "scratch").glob("trial-*")):
        removed += [*clear(scratch), "a trial's scratch folder"]
    for folder in (project.state / "connections").glob("*-*"):
        if not _is_running(folder.name.partition("-")[0]):  # the process that connected
            shutil.rmtree(folder, ignore_errors=True)
            removed.append("a connection's folder")
    removed += ["a temporary folder"] * _sweep_temporary()
    for pattern in HALF_WRITTEN:
        for path in project.root.glob(pattern):
            path.unlink(missing_ok=True)
            removed.append("a half-written file")
    return removed


def _sweep_temporary() -> int:
    """Remove temporary folders of killed commands; sockets may lie in /tmp, for a short path."""
    return temporary.sweep(temporary.OF_COMMAND, temporary.place(), Path("/tmp"))


def _kill_processes(project: Checkout) -> list[str]:
    """Kill processes of earlier runs in this checkout."""
    killed = kill_marked(f"{VARIABLE}={project.state / 'events.jsonl'}")
    notes = (project.state / GROUPS).glob(f"{control_group.PREFIX}*")
    killed += sum(map(remove_group, notes)) + kill_marked(trial_mark(project.state))
    return ["a process"] * killed


def trial_mark(state: Path) -> str:
    """Return the mark with which the processes of a checkout's trials are branded."""
    return f"{TRIAL_MARK}={state.absolute()}"


def note_group(state: Path, group: Path) -> Path:
    """Note a control group before it is used. Return the note, for `remove_group`."""
    note = own_folder(state / GROUPS) / group.name
    note.write_text(str(group))
    return note


def remove_group(note: Path) -> int:
    """Kill what is in a noted control group, and remove it; return how many processes."""
    with suppress(FileNotFoundError):
        killed = control_group.remove(Path(note.read_text()))
        note.unlink()
        return killed
    return 0  # another process was faster


def summarize(removed: Sequence[str]) -> str:
    """Return the leftovers as part of a sentence, each kind with its count."""
    kinds = {what: removed.count(what) for what in dict.fromkeys(removed)}
    return ", ".join(what if count == 1 else f"{what} (x{count})" for what, count in kinds.items())
