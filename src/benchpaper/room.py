"""Whether there is room on a disk: a trial that fails for want of it says nothing about what was measured."""

import errno
import os
import shutil
from pathlib import Path

from benchpaper.errors import UserError

LEAST = 1 << 20  # bytes; with less than this a disk counts as full
WORDS = os.strerror(errno.ENOSPC)
NEXT_STEP = "earlier results are intact: make room, and run the same command again to go on"


class NoRoom(UserError):
    """A disk is full; the text says where, and how to go on."""


def left(folder):
    """Return the bytes that are free on the file system of a folder, which need not exist yet."""
    folder = Path(folder)
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def complaint(project):
    """Return one line that names the first of the project's folders without room, or an empty string."""
    for folder in (project.root, project.state, project.root / "results", project.root / "build"):
        if (free := left(folder)) < LEAST:
            return f"{WORDS}: {free >> 10} kB are free in {folder.name}; {NEXT_STEP}"
    return ""
