"""Detect a full disk: a trial that fails for lack of space says nothing about the system.

A user's quota counts like a full disk. The file system's free space does not show a quota; only
writing does.
"""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

MIN_FREE_BYTES = 1 << 20  # with less than this, a disk counts as full
FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
NEXT_STEP = "earlier results are intact: make room, and run the same command again to go on"


class NoRoom(UserError):
    """A disk is full; the text says where, and how to go on."""


def is_full(error: OSError) -> bool:
    """Return whether an error means a full disk or an exhausted quota."""
    return error.errno in FULL_ERRNOS


def full_disk_text(text: str) -> str:
    """Return the system's message for a full disk if `text` contains it (in any case), else ""."""
    messages = map(os.strerror, FULL_ERRNOS)
    return next((message for message in messages if message.lower() in text.lower()), "")


def shortage(folder: Path) -> str:
    """Return the system's message if `folder` has no room for `MIN_FREE_BYTES` bytes, else "".

    The folder need not exist yet.
    """
    folder = Path(folder)
    while not folder.exists():
        folder = folder.parent
    if (free_bytes := shutil.disk_usage(folder).free) < MIN_FREE_BYTES:
        return f"{os.strerror(errno.ENOSPC)}: {free_bytes >> 10} kB are free"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, MIN_FREE_BYTES)
    except OSError as error:
        return os.strerror(error.errno) if error.errno in FULL_ERRNOS else ""
    return ""


def complaint(project: Project) -> str:
    """Return one line that names the first of the project's folders without room, or ""."""
    for folder in (project.root, project.state, project.root / "results", project.root / "build"):
        if message := shortage(folder):
            return f"{message} in {folder.name}; {NEXT_STEP}"
    return ""
