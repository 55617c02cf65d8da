"""Write a file so that a reader, a kill, or a power cut never sees half of it.

A file is durable before it has its name: its content reaches the disk first, then it takes its
place, and then its folder reaches the disk.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_FLUSH = (errno.EINVAL, errno.ENOTSUP)  # some file systems cannot flush folders


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`, which keeps its old content until then.

    Raises `OSError`; the file is then as it was before.
    """
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, ending: str = ".part", durable: bool = True) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path`, for writers that want a path or a stream.

    On success it is flushed to disk and takes the place of `path`; after an exception it is
    removed. Its name ends in `.part`, whatever the suffix of `path`, so that no search for results
    matches it; `ending` is for writers that insist on a suffix. The folder is made if it is
    missing. Without `durable` the folder must exist, and nothing is flushed: this is for files that
    no later run trusts, where a flush would disturb a measurement.
    """
    if durable:
        make_folder(path.parent)
    # Nobody can guess the name, and writers on other machines of a shared file system take others.
    part = path.with_name(f".{path.name}.{os.urandom(6).hex()}{ending}")
    try:
        yield part
        if durable:
            flush(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if durable:
        flush(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and its parents; those that are new are on disk when this returns."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(new):
        flush(folder.parent)


def flush_tree(folder: Path) -> None:
    """Flush all files and folders at and below `folder` to disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            if not (path := Path(parent, name)).is_symlink():
                flush(path)
        flush(Path(parent))


def flush(path: Path) -> None:
    """Flush a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FLUSH:
            raise
    finally:
        os.close(descriptor)
