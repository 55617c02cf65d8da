"""Private temporary folders that the next run removes if their process was killed.

Each command, with all programs that it starts, keeps its temporary files in one folder. A lock on a
folder shows that its process lives; the kernel frees it however the process ends. Standard library
only, because this module is sent to target hosts too.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchpaper.core import mounts

OF_COMMAND, OF_AGENT, OF_STORE = "benchpaper-tmp-", "benchpaper-agent-", ".part-"
VARIABLE = "TMPDIR"


@contextmanager
def folder(prefix: str = OF_COMMAND, parent: Path | str | None = None) -> Iterator[Path]:
    """Yield a new private folder in `parent` (default: where temporary files go); remove it after.

    If something is still mounted in it, it stays, because removing it would empty what is mounted.
    """
    path, lock = _make(prefix, parent)
    try:
        yield path
    finally:
        _remove(path)
        os.close(lock)


def _make(prefix: str, parent: Path | str | None) -> tuple[Path, int]:
    """Make a folder and lock it. A sweep may remove it before it is locked; then make another."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):
            descriptor = _open(path)
            if _lock(descriptor) is not False and path.exists():
                return path, descriptor
            os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _lock(descriptor: int) -> bool | None:
    """Lock a folder. Return False if its process lives, and None where folders have no locks.

    There (on some network file systems) no sweep removes anything.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def _remove(path: Path) -> None:
    if not mounts.below(path):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def of_command() -> Iterator[None]:
    """Send this process's temporary files, and those of its children, to a folder of their own.

    A command that another one started uses that one's folder. Without room for a folder, change
    nothing: what needs a temporary file will say so.
    """
    if _is_of_command(Path(tempfile.gettempdir())):
        yield
        return
    before, default = os.environ.get(VARIABLE), tempfile.tempdir
    try:
        made = _make(OF_COMMAND, None)
    except OSError:
        yield
        return
    os.environ[VARIABLE] = tempfile.tempdir = str(made[0])
    try:
        yield
    finally:
        tempfile.tempdir = default
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
        _remove(made[0])
        os.close(made[1])


def _is_of_command(path: Path) -> bool:
    with suppress(OSError):
        return path.name.startswith(OF_COMMAND) and path.stat().st_uid == os.geteuid()
    return False


def place() -> Path:
    """Return where temporary folders of commands go."""
    here = Path(tempfile.gettempdir())
    return here.parent if _is_of_command(here) else here


def sweep(prefix: str = OF_COMMAND, *parents: Path) -> int:
    """Remove this user's folders in `parents` whose process has ended; return how many.

    Without `parents`, look where temporary files go.
    """
    folders = [path for parent in {*parents} or {place()} for path in parent.glob(f"{prefix}*")]
    return sum(map(_swept, folders))


def _swept(path: Path) -> bool:
    try:
        descriptor = _open(path)
    except OSError:  # it is another user's, or is no folder
        return False
    try:
        if os.fstat(descriptor).st_uid != os.geteuid() or not _lock(descriptor):
            return False
        _remove(path)
        return not path.exists()
    finally:
        os.close(descriptor)
