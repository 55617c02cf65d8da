"""Locks that say who holds them since when. The kernel frees them when the holder ends, however it ends."""

import errno
import fcntl
import json
import os
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from benchpaper.core.errors import UserError

FOLDER = "BENCHPAPER_LOCK_FOLDER"  # names another folder for the lock on measuring; for tests
FOLDERS = ("/run/lock", "/tmp")  # not $TMPDIR, which differs between users and shells
NAME = "benchpaper-measuring.lock"
EVERYBODYS = (
    stat.S_ISVTX | 0o777
)  # the mode of a folder in which every user may make files, and remove his own alone


class Held(UserError):
    """Somebody else holds the lock."""


class Unusable(UserError):
    """Something else lies where the lock's file belongs."""


@contextmanager
def held(path, what, wait=False, waiting=lambda holder: None):
    """Hold the lock at `path` for `what` (a few words). When it is taken: raise `Held` naming the holder, or, with
    `wait`, tell `waiting(text)` once and wait."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(path, wait, waiting)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(
            descriptor,
            json.dumps({"pid": os.getpid(), "since": time.time(), "what": what}).encode(),
            0,
        )
        yield
    finally:
        os.close(descriptor)


def _take(path: Path, wait: bool, waiting) -> int:
    """Return the locked file. Who waited may have got one that was removed meanwhile, and tries again."""
    while True:
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
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open the lock's file, whichever user made it. In a folder of everybody's anything may lie there: no link is
    followed, no pipe waited for, and no file written that has another name too."""
    try:
        descriptor = _open_or_make(path)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.EACCES):
            raise
        raise Unusable(
            f"the lock {path} cannot be opened ({_found(path) or error.strerror}); remove it"
        ) from None
    about = os.fstat(descriptor)
    if stat.S_ISREG(about.st_mode) and about.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    raise Unusable(
        f"the lock {path} is not a lock ({_found(path) or 'a file with two names'}); remove it"
    )


def _open_or_make(path: Path) -> int:
    """Not with O_CREAT where it exists: in a shared folder the kernel may refuse that for another user's file
    (fs.protected_regular)."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):  # somebody was quicker
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            with suppress(PermissionError):
                os.fchmod(descriptor, 0o666)  # whatever the umask says
            return descriptor


def _found(path: Path) -> str:
    """Return what lies at `path` instead of a file with one name; empty where it is one."""
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except OSError:
        return ""
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "")


def _holder(descriptor):
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["since"]))
        return f"{found['what']} has been running since {since} (process {found['pid']}); wait for it, or stop it"
    except (ValueError, KeyError):
        return "another process holds the lock; wait for it"


def host_lock() -> Path:
    """Return the path of the lock on this machine: one measurement at a time, whatever the checkout, the user or their
    environment. The folder is chosen by its mode, which is the same to all users."""
    if named := os.environ.get(FOLDER):
        return Path(named).absolute() / NAME
    return Path(next((folder for folder in FOLDERS if _is_everybodys(folder)), FOLDERS[-1])) / NAME


def _is_everybodys(folder: str) -> bool:
    try:
        return os.stat(folder, follow_symlinks=False).st_mode & EVERYBODYS == EVERYBODYS
    except OSError:
        return False
