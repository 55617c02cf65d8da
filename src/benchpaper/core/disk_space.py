"""Whether there is room on a disk: a trial that fails for want of it says nothing about what was measured.

A quota of the user's counts like a disk that is full. The free space of the file system says nothing of it: only
writing does.
"""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from benchpaper.core.errors import UserError

LEAST = 1 << 20  # bytes; with less than this a disk counts as full
FULL = (errno.ENOSPC, errno.EDQUOT)
NEXT_STEP = "earlier results are intact: make room, and run the same command again to go on"


class NoRoom(UserError):
    """A disk is full; the text says where, and how to go on."""


def is_full(error: OSError) -> bool:
    return error.errno in FULL


def told(text: str) -> str:
    """Return the system's words for a full disk that a program's text repeats, in whatever case; empty without any."""
    return next((words for words in map(os.strerror, FULL) if words.lower() in text.lower()), "")


def shortage(folder: Path) -> str:
    """Return the system's words when a folder has no room for `LEAST` bytes, else an empty string. The folder need not
    exist yet."""
    folder = Path(folder)
    while not folder.exists():
        folder = folder.parent
    if (free := shutil.disk_usage(folder).free) < LEAST:
        return f"{os.strerror(errno.ENOSPC)}: {free >> 10} kB are free"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, LEAST)
    except OSError as error:
        return os.strerror(error.errno) if is_full(error) else ""
    return ""


def complaint(project) -> str:
    """Return one line that names the first of the project's folders without room, or an empty string."""
    for folder in (project.root, project.state, project.root / "results", project.root / "build"):
        if found := shortage(folder):
            return f"{found} in {folder.name}; {NEXT_STEP}"
    return ""
