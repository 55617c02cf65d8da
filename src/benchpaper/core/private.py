"""Private folders and files: only this user can read, fill, or replace them.

Standard library only, because this module is sent to target hosts too.
"""

import os
import stat
from pathlib import Path

MODE = 0o700


def own_folder(path: Path) -> Path:
    """Make a folder with mode 0700, or give an existing one of this user's that mode.

    Raises `PermissionError` if it is a link or belongs to another user, and `OSError` as
    `Path.mkdir` does. Root may use another user's folder, and leaves its mode alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    descriptor = _open(path)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid():
            if stat.S_IMODE(status.st_mode) != MODE:
                os.fchmod(descriptor, MODE)
        elif os.geteuid() != 0:
            raise PermissionError(1, "it belongs to another user", str(path))
    finally:
        os.close(descriptor)
    return path


def private_file(path: str, flags: int) -> int:
    """Open a file for `open(path, "xb", opener=private_file)`; others cannot read a new one."""
    return os.open(path, flags, 0o600)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:  # what Linux says of a link with both flags
        raise PermissionError(1, "it is a link, not a folder", str(path)) from None
