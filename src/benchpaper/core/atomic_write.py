"""Write a file so that a reader, a kill, or a power cut never sees half of it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`, which keeps its old content until then.

    Raises `OSError`; the file is then as it was before.
    """
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path`, for writers that want a path or a stream.

    On success it is flushed to disk and takes the place of `path`; after an exception it is
    removed. Its name ends in `.part`, whatever the suffix of `path`, so that no search for results
    matches it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        _flush(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Flush a file or a folder to disk. Some file systems cannot flush folders (EINVAL)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
