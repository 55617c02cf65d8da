"""Locks that say who holds them since when. The kernel frees them when the holder ends, however it ends."""

import fcntl
import json
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from benchpaper.errors import UserError


class Held(UserError):
    """Somebody else holds the lock."""


@contextmanager
def held(path, what, wait=False, waiting=lambda holder: None):
    """Hold the lock at `path` for `what` (a few words). When it is taken: raise `Held` naming the holder, or, with
    `wait`, tell `waiting(text)` once and wait."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = _holder(descriptor)
            if not wait:
                raise Held(text) from None
            waiting(text)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": time.time(), "what": what}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _open(path):
    """Open the lock's file, whichever user made it. Not with O_CREAT where it exists: in a shared folder the kernel may
    refuse that for another user's file (fs.protected_regular)."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with suppress(PermissionError):
            os.fchmod(descriptor, 0o666)  # whatever the umask says
        return descriptor


def _holder(descriptor):
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["since"]))
        return f"{found['what']} has been running since {since} (process {found['pid']}); wait for it, or stop it"
    except (ValueError, KeyError):
        return "another process holds the lock; wait for it"


def host_lock():
    """Return the path of the lock on this machine: one measurement at a time, whatever the checkout or user."""
    return Path(tempfile.gettempdir()) / "benchpaper-measuring.lock"
