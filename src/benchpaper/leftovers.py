"""What a trial leaves on a machine, and how it is taken away: at the trial's end, or by the next run when this one was
killed.

Each trial has a scratch folder. What lives elsewhere is noted in it before it is made: an undo for each mount,
namespace or cgroup (`note_undo`), and which shared memory was there before (`note_shared_memory`). A scratch folder
that still exists belongs to a dead trial; `sweep` does for it what the trial could not.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from benchpaper.events import VARIABLE

UNDO_PREFIX, SHARED_MEMORY = "undo-", "shared-memory.json"
UNDO_TIMEOUT_S = 20
IPC_RMID = 0


def note_undo(scratch, what, argv):
    """Note in a scratch folder that `argv` takes away `what`. Call it before making the thing: an undo of what was
    never made does no harm."""
    number = len(list(Path(scratch).glob(f"{UNDO_PREFIX}*")))
    path = Path(scratch) / f"{UNDO_PREFIX}{number:03d}.json"
    path.write_text(json.dumps({"what": what, "argv": [str(part) for part in argv]}))


def note_shared_memory(scratch):
    """Note which shared memory exists, so that `clear` can tell what came after."""
    before = {"sysv": sorted(_sysv()), "posix": sorted(_posix()), "since": time.time()}
    (Path(scratch) / SHARED_MEMORY).write_text(json.dumps(before))


def clear(scratch):
    """Take away what a trial whose processes are gone has left, and its scratch folder. Return what was found, in
    words; an empty list for a trial that tidied up after itself."""
    scratch, found = Path(scratch), []
    for path in sorted(scratch.rglob(f"{UNDO_PREFIX}*.json"), reverse=True):
        try:
            noted = json.loads(path.read_text())
        except ValueError:
            continue  # cut short by the kill: what it was about was not made yet
        done = subprocess.run(noted["argv"], capture_output=True, timeout=UNDO_TIMEOUT_S, check=False)
        if done.returncode == 0:
            found.append(noted["what"])
    found += _clear_shared_memory(scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return found


def _clear_shared_memory(scratch):
    try:
        before = json.loads((scratch / SHARED_MEMORY).read_text())
    except (OSError, ValueError):
        return []
    found = []
    for segment in sorted(_sysv() - set(before["sysv"])):
        ctypes.CDLL(None).shmctl(segment, IPC_RMID, None)
        found.append("a System V shared-memory segment")
    new = {name for name in _posix() - set(before["posix"]) if _newer(Path("/dev/shm") / name, before["since"])}
    for name in sorted(new - _in_use() if new else new):
        (Path("/dev/shm") / name).unlink(missing_ok=True)
        found.append("a POSIX shared-memory object")
    return found


def _sysv():
    """Ids of this user's System V segments that nobody is attached to and whose maker is gone."""
    found = set()
    for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        _, segment, _, _, maker, _, attached, owner, *_ = line.split()
        if int(attached) == 0 and int(owner) == os.geteuid() and not Path(f"/proc/{maker}").exists():
            found.add(int(segment))
    return found


def _posix():
    """Names of this user's POSIX shared-memory objects."""
    try:
        return {entry.name for entry in os.scandir("/dev/shm") if entry.is_file() and entry.stat().st_uid == os.geteuid()}
    except OSError:
        return set()


def _newer(path, since):
    try:
        return path.stat().st_ctime >= since
    except OSError:
        return False


def _in_use():
    """Names below /dev/shm that some process has mapped."""
    used = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            used.update(Path(line.split()[5]).name for line in maps.read_text().splitlines() if " /dev/shm/" in line)
        except OSError:
            continue  # it ended, or is not ours to see
    return used


def sweep(project):
    """Take away what killed runs in this checkout have left. Call it while holding the run's lock, with nothing
    running. Return what was found, in words."""
    found = _kill_processes(project)
    for scratch in sorted((project.state / "scratch").glob("trial-*")):
        found += [*clear(scratch), "a trial's scratch folder"]
    for pattern in ("results/**/.*.tmp", "build/**/.*.part*", "build/**/*.part", "build/**/*.part.ipynb"):
        for path in project.root.glob(pattern):
            path.unlink(missing_ok=True)
            found.append("a half-written file")
    return found


def _kill_processes(project):
    """Kill the processes that were started by a run in this checkout: they carry its mark in their environment."""
    mark = f"{VARIABLE}={project.state / 'events.jsonl'}".encode()
    found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid != os.getpid() and _carries(pid, mark)]
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    end = time.monotonic() + 5
    while any(_carries(pid, mark) for pid in found) and time.monotonic() < end:
        time.sleep(0.01)
    return ["a process"] * len(found)


def _carries(pid, mark):
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def told(found):
    """Return what was swept up as a sentence, each kind with its count."""
    kinds = {what: found.count(what) for what in dict.fromkeys(found)}
    return ", ".join(what if count == 1 else f"{what} (x{count})" for what, count in kinds.items())
