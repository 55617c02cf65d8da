"""Locks that name their holder. The kernel frees them when the holder ends, however it ends.

A lock of a checkout is a private file. The lock on measuring is shared by all users of the machine:
its file lies in a folder where users cannot remove each other's files, and every user may write to
it, to say who holds the lock. So what it says is checked, and shown as one printable line.
"""

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
from benchpaper.core.printable import printable_line
from benchpaper.core.private import own_folder

FOLDER = "BENCHPAPER_LOCK_FOLDER"  # names another folder for the lock on measuring; for tests
FOLDERS = ("/run/lock", "/tmp")  # not $TMPDIR, which differs between users and shells
NAME = "benchpaper-measuring.lock"
SHARED_MODE = stat.S_ISVTX | 0o777  # every user may make files, and remove only their own
SHARED_FILE_MODE, PRIVATE_FILE_MODE = 0o666, 0o600
MAX_HOLDER_BYTES, LONGEST_WHAT = 4096, 200
REFUSALS = (
    errno.ELOOP,
    errno.EISDIR,
    errno.ENXIO,
    errno.ENODEV,
    errno.EACCES,
    errno.EPERM,
    errno.ETXTBSY,
    errno.EAGAIN,
)


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
    shared = path.absolute() == host_lock()
    if shared:
        path.parent.mkdir(parents=True, exist_ok=True)
    else:
        own_folder(path.parent.resolve())
    descriptor = _take(path, shared, wait, waiting)
    try:
        holder = {"pid": os.getpid(), "since": time.time(), "what": what}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(path: Path, shared: bool, wait: bool, waiting: Callable[[str], object]) -> int:
    """Return the locked file. If it was removed while we waited, try again with the new one."""
    while True:
        descriptor = _open(path, shared)
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


def _open(path: Path, shared: bool) -> int:
    """Open the lock's file, or make it.

    In a shared folder anything may lie at `path`. So follow no link, wait for nothing, and write to
    no file that is something else too.
    """
    try:
        descriptor = _open_or_make(path, SHARED_FILE_MODE if shared else PRIVATE_FILE_MODE)
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        leased = "another process leases it" if error.errno == errno.EAGAIN else ""
        why = _odd_kind(path) or leased or error.strerror
        raise Unusable(f"the lock {path} cannot be opened ({why}); remove it") from None
    if why := _odd_kind(path) or _not_a_lock(os.fstat(descriptor), shared):
        os.close(descriptor)
        raise Unusable(f"the lock {path} is not a lock ({why}); remove it")
    if not shared:
        with suppress(PermissionError):  # root may lock another user's checkout
            os.fchmod(descriptor, PRIVATE_FILE_MODE)
    return descriptor


def _open_or_make(path: Path, mode: int) -> int:
    """Open the file; make it if it does not exist.

    Use O_CREAT only in the second case: in a shared folder the kernel may refuse it for another
    user's file (fs.protected_regular).
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):  # another process made it first
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
            with suppress(PermissionError):
                os.fchmod(descriptor, mode)  # the umask may have removed bits
            return descriptor


def _not_a_lock(status: os.stat_result, shared: bool) -> str:
    """Return why an open file is no lock, or "". The owner of a shared one may be any user."""
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_nlink > 1:
        return "a file with two names"
    if not shared and status.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        return "another user's file"
    if mode & ~SHARED_FILE_MODE:  # a program, perhaps with the bit that changes its user
        return f"a file with mode {mode:04o}"
    return ""


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
    """Return one line that names the holder, as far as the file says."""
    try:
        holder = json.loads(os.pread(descriptor, MAX_HOLDER_BYTES, 0))
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
        what, pid = printable_line(str(holder["what"]), LONGEST_WHAT), int(holder["pid"])
    except (ValueError, LookupError, TypeError, ArithmeticError, OSError, RecursionError):
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
    """True for a folder of root's in which users cannot remove each other's files."""
    try:
        status = os.stat(folder, follow_symlinks=False)
    except OSError:
        return False
    return status.st_mode & SHARED_MODE == SHARED_MODE and status.st_uid == 0
