"""Locks that name their holder. The kernel frees them when the holder ends, however it ends."""

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchpaper.core.errors import UserError

FOLDER = "BENCHPAPER_LOCK_FOLDER"  # names another folder for the lock on measuring; for tests
FOLDERS = ("/run/lock", "/tmp")  # not $TMPDIR, which differs between users and shells
NAME = "benchpaper-measuring.lock"
SHARED_MODE = stat.S_ISVTX | 0o777  # every user may make files, and remove only their own


class Held(UserError):
    """Another process holds the lock."""


class Unusable(UserError):
    """Something that is not a lock lies at the lock's path."""


@contextmanager
def held(
    path: Path | str,
    what: str,
    wait: bool = False,
    waiting: Callable[[str], object] = lambda holder: None,
) -> Iterator[None]:
    """Hold the lock at `path` for `what` (a few words).

    If another process holds it: raise `Held`, naming the holder, or, with `wait`, call
    `waiting(text)` once and wait.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(path, wait, waiting)
    try:
        holder = {"pid": os.getpid(), "since": time.time(), "what": what}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(path: Path, wait: bool, waiting: Callable[[str], object]) -> int:
    """Return the locked file. If it was removed while we waited, try again with the new one."""
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
    """Open the lock's file, whichever user made it.

    In a shared folder anything may lie at `path`. So follow no link, wait for no pipe, and write no
    file that has a second name.
    """
    try:
        descriptor = _open_or_make(path)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.EACCES):
            raise
        raise Unusable(
            f"the lock {path} cannot be opened ({_odd_kind(path) or error.strerror}); remove it"
        ) from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    raise Unusable(
        f"the lock {path} is not a lock ({_odd_kind(path) or 'a file with two names'}); remove it"
    )


def _open_or_make(path: Path) -> int:
    """Open the file; make it if it does not exist.

    Use O_CREAT only in the second case: in a shared folder the kernel may refuse it for another
    user's file (fs.protected_regular).
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):  # another process made it first
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            with suppress(PermissionError):
                os.fchmod(descriptor, 0o666)  # the umask may have removed bits
            return descriptor


def _odd_kind(path: Path) -> str:
    """Return what lies at `path` if it is not a regular file, else ""."""
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


def _holder(descriptor: int) -> str:
    """Return one line that names the holder, as far as the file tells."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
        what, pid = holder["what"], holder["pid"]
    except (ValueError, KeyError):
        return "another process holds the lock; wait for it"
    return f"{what} has been running since {since} (process {pid}); wait for it, or stop it"


def host_lock() -> Path:
    """Return the path of this machine's lock on measuring.

    One measurement runs at a time, whatever the checkout, the user, or the environment. The folder
    is chosen by its mode, which every user sees alike.
    """
    if named := os.environ.get(FOLDER):
        return Path(named).absolute() / NAME
    return Path(next((folder for folder in FOLDERS if _is_shared(folder)), FOLDERS[-1])) / NAME


def _is_shared(folder: str) -> bool:
    try:
        return os.stat(folder, follow_symlinks=False).st_mode & SHARED_MODE == SHARED_MODE
    except OSError:
        return False
