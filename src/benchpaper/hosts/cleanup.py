"""What a trial leaves on a machine, and how it is taken away: at the trial's end, or by the next run when this one was
killed.

Each trial has a scratch folder. What lives elsewhere is noted in it before it is made: an undo for each mount,
namespace or cgroup (`note_undo`), and which shared memory was there before (`note_shared_memory`). A scratch folder
that still exists belongs to a dead trial; `sweep` does for it what the trial could not.
"""

import ctypes
import json
import os
import re
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from benchpaper.core.events import VARIABLE
from benchpaper.core.processes import kill_marked

UNDO_PREFIX, SHARED_MEMORY = "undo-", "shared-memory.json"
UNDO_TIMEOUT_S = 20
CLOCK_OF_FILES = 5  # CLOCK_REALTIME_COARSE (clock_gettime(2)): like files' times, up to a tick behind the time of day
IPC_RMID = 0
HALF_WRITTEN = (
    "results/**/.*.tmp",
    "results/**/*.part",
    "build/**/.*.part*",
    "build/**/*.part",
    "build/**/*.part.ipynb",
)


def note_undo(scratch, what, argv):
    """Note in a scratch folder that `argv` takes away `what`. Call it before making the thing: an undo of what was
    never made does no harm."""
    # Named by when it was made, to the nanosecond: two files of one tick have the same time.
    path = (
        Path(scratch) / f"{UNDO_PREFIX}{time.monotonic_ns():020d}-{threading.get_native_id()}.json"
    )
    path.write_text(json.dumps({"what": what, "argv": [str(part) for part in argv]}))


def note_shared_memory(scratch, seconds):
    """Note which shared memory exists, so that `clear` can tell what was made in the next `seconds`, which is how long
    the trial may run: what is younger is somebody else's."""
    now = time.clock_gettime(CLOCK_OF_FILES)
    before = {
        "sysv": sorted(_sysv()),
        "posix": sorted(_posix()),
        "since": now,
        "until": now + seconds,
    }
    (Path(scratch) / SHARED_MEMORY).write_text(json.dumps(before))


def clear(scratch):
    """Take away what a trial whose processes are gone has left, and its scratch folder. Return what was found, in
    words; an empty list for a trial that tidied up after itself."""
    scratch, found = Path(scratch), []
    # Its own and those of each role; what lies deeper is the trial's data.
    notes = [*scratch.glob(f"{UNDO_PREFIX}*.json"), *scratch.glob(f"*/{UNDO_PREFIX}*.json")]
    for path in sorted(
        notes, key=lambda path: path.name, reverse=True
    ):  # what was made last goes first
        try:
            noted = json.loads(path.read_text())
        except ValueError:
            continue  # cut short by the kill: what it was about was not made yet
        if _succeeds(noted["argv"]):
            found.append(noted["what"])
    found += _clear_shared_memory(scratch)
    for point in _mounts(scratch):
        if _succeeds(["umount", point]) or _succeeds(["umount", "--lazy", point]):
            found.append("a mount")
    if not _mounts(scratch):  # else it would remove what is mounted there
        shutil.rmtree(scratch, ignore_errors=True)
    return found


def _succeeds(argv):
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=UNDO_TIMEOUT_S
        )
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _mounts(folder):
    """The mount points below a folder, the last one first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    points = [
        Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), point)) for point in points
    ]
    return [point for point in reversed(points) if point.is_relative_to(folder.resolve())]


def _clear_shared_memory(scratch):
    try:
        before = json.loads((scratch / SHARED_MEMORY).read_text())
    except (OSError, ValueError):
        return []

    def new(now, then):
        since, until = before["since"], before["until"]
        return sorted(
            name for name, made in now.items() if name not in then and since <= made <= until
        )

    found = []
    for segment in new(_sysv(), before["sysv"]):
        ctypes.CDLL(None).shmctl(segment, IPC_RMID, None)
        found.append("a System V shared-memory segment")
    objects = new(_posix(), before["posix"])
    used = _in_use() if objects else ()
    for name in (name for name in objects if name not in used):
        (Path("/dev/shm") / name).unlink(missing_ok=True)
        found.append("a POSIX shared-memory object")
    return found


def _sysv():
    """This user's System V segments that nobody is attached to and whose maker is gone: {id: end of the second in which
    it was made}."""
    found = {}
    for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        fields = line.split()
        segment, maker, attached, owner, made = (int(fields[column]) for column in (1, 4, 6, 7, 13))
        if attached == 0 and owner == os.geteuid() and not _is_running(maker):
            found[segment] = made + 1
    return found


def _is_running(pid):
    """Whether a process exists that has not ended: one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _posix():
    """This user's POSIX shared-memory objects: {name: when it was last changed}."""
    found = {}
    with suppress(OSError):
        for entry in os.scandir("/dev/shm"):
            with suppress(FileNotFoundError):
                about = entry.stat(follow_symlinks=False)
                if entry.is_file(follow_symlinks=False) and about.st_uid == os.geteuid():
                    found[entry.name] = about.st_ctime
    return found


def _in_use():
    """Names below /dev/shm that some process has mapped or open."""
    used = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is not ours to see
            mapped = [
                line.split()[5]
                for line in (process / "maps").read_text().splitlines()
                if " /dev/shm/" in line
            ]
            used.update(Path(path).name for path in mapped)
            for descriptor in os.scandir(process / "fd"):
                target = os.readlink(descriptor.path)
                if target.startswith("/dev/shm/"):
                    used.add(Path(target).name)
    return used


def sweep(project):
    """Take away what killed runs in this checkout have left. Call it while holding the run's lock, with nothing
    running. Return what was found, in words."""
    found = _kill_processes(project)
    for scratch in sorted((project.state / "scratch").glob("trial-*")):
        found += [*clear(scratch), "a trial's scratch folder"]
    for folder in (project.state / "connections").glob(
        "*-*"
    ):  # named after the process that connects
        if not _is_running(folder.name.partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)
            found.append("a connection's folder")
    for pattern in HALF_WRITTEN:
        for path in project.root.glob(pattern):
            path.unlink(missing_ok=True)
            found.append("a half-written file")
    return found


def _kill_processes(project):
    """Kill the processes that were started by a run in this checkout: they carry its mark in their environment."""
    return ["a process"] * kill_marked(f"{VARIABLE}={project.state / 'events.jsonl'}")


def told(found):
    """Return what was swept up as a sentence, each kind with its count."""
    kinds = {what: found.count(what) for what in dict.fromkeys(found)}
    return ", ".join(what if count == 1 else f"{what} (x{count})" for what, count in kinds.items())
