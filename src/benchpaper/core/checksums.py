"""Notes what a step wrote, so that a later run notices when a file is no longer that.

A power cut can leave a file empty, short, or with a tail of zeros, with a name and a time as if it
were whole. Each step of the pipeline therefore ends with a list of its files and their SHA-256,
`.sha256/STEP` in the folder that holds them. The list has the form that `sha256sum --check` reads;
its last line counts the others, so that a list that was cut short is no list.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from benchpaper.core.atomic_write import atomic_write, flush

FOLDER = ".sha256"
MANY = 200  # files: from here on, one flush of all file systems is quicker
END = "# {} files\n"


def note(folder: Path, step: str, paths: Iterable[Path]) -> None:
    """Flush the files that a step wrote below `folder`, and note their digests."""
    files = sorted(path for path in paths if path.is_file() and FOLDER not in path.parts)
    if len(files) > MANY:
        os.sync()
    else:
        for path in (*files, *{path.parent for path in files}):
            flush(path)
    lines = [f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    atomic_write(folder / FOLDER / step, "".join([*lines, END.format(len(lines))]))


def flaw(folder: Path, step: str) -> str:
    """Return how the files of a step differ from what it wrote; empty if they do not."""
    noted = _noted(folder / FOLDER / step)
    if noted is None:
        return "was not finished, or is damaged"
    for name, digest in noted.items():
        try:
            same = _digest(folder / name) == digest
        except OSError:
            return f"lacks {name}"
        if not same:
            return f"is damaged: {name} is not what the step wrote"
    return ""


def _noted(path: Path) -> dict[str, str] | None:
    """Return {name: digest} of a list; None if it is missing or damaged."""
    try:
        *lines, end = path.read_text().splitlines(keepends=True)
    except (OSError, ValueError):
        return None
    if end != END.format(len(lines)):
        return None
    pairs = (line.rstrip("\n").partition("  ") for line in lines)
    return {name: digest for digest, _, name in pairs}


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
