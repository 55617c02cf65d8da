"""Reads a table that a stranger wrote: first in a child process with limits on memory and time.

A Parquet file of a few kilobytes can unpack to gigabytes.
"""

from pathlib import Path

from benchpaper.artifact import importing
from benchpaper.artifact.bundle import confined
from benchpaper.results.import_record import ImportRefused
from benchpaper.results.import_table import SMALLER, Table, read_table

LIMITS = confined.Limits(memory_bytes=2 << 30, cpu_s=120, wall_s=600)


def table(path: Path, folder: Path, limits: confined.Limits = LIMITS) -> tuple[Table, bytes]:
    """Return the table in a file, and the file's bytes. Raises `ImportRefused`.

    The child writes to `folder`, which the caller removes.
    """
    data = importing.read(path)
    try:
        confined.call(f"{__name__}:rows", str(path.resolve()), folder=folder, limits=limits)
    except confined.Refused as error:
        named = path.name in str(error)
        raise ImportRefused(str(error) if named else f"{path.name}: {error}; {SMALLER}") from None
    return read_table(path.name, data), data


def rows(path: str) -> int:
    """Return how many rows a table has; the child calls this."""
    name = Path(path).name
    confined.reading(name)
    return len(read_table(name, Path(path).read_bytes()).rows)
