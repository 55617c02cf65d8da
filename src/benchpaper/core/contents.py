"""The digest of a file or of a whole folder, by its contents alone.

A file's digest is its SHA-256, as `sha256sum` prints it. A folder's digest is the SHA-256 of its
sorted listing: a line `DIGEST  PATH` for each file below it, which is what this prints:

    cd FOLDER && find -L . -type f -printf '%P\\n' | LC_ALL=C sort | tr '\\n' '\\0' |
        xargs -0 sha256sum | sha256sum

Links to files count as the files. Times, modes, and empty folders do not count.

Large files are read once: a folder of notes keeps the digest of each file while its size, its
times, and its inode stay the same.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.errors import UserError

SETTLED_NS = 2_000_000_000  # a file that changed just now may change again within the same tick
CHUNK = 1 << 20

Stamp = tuple[int, int, int, int]  # size, time of change, inode, time of change of the inode
Progress = Callable[[int], object]  # receives the number of bytes that were read


@dataclass(frozen=True)
class Contents:
    """What lies at a path: its digest (64 hex digits), size, and files; 1 for a plain file."""

    sha256: str
    bytes: int
    files: int


def stamps(path: Path) -> dict[str, Stamp]:
    """Return {path below `path`: stamp} of the files that count, sorted; "" is a plain file itself.

    Raises `UserError` for a path that does not exist, and for what has no digest.
    """
    try:
        files = {"": path} if path.is_file() else dict(sorted(_below(path)))
        return {name: _stamp(file.stat()) for name, file in files.items()}
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None


def contents(path: Path, notes: Path | None = None, progress: Progress | None = None) -> Contents:
    """Return the `Contents` of a file or folder.

    `notes` is a folder that keeps digests. Raises `UserError` as `stamps` does, and if a file
    changes while it is read.
    """
    stamped = stamps(path)
    noted = (
        notes and notes / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]}.json"
    )
    known = _read_notes(noted) if noted else {}
    digests, settled = {}, {}
    for name, stamp in stamped.items():
        digest = known.get((name, stamp))
        if digest is None:
            begin = time.time_ns()
            digest = _file_digest(path / name if name else path, stamp, progress)
            if begin - max(stamp[1], stamp[3]) < SETTLED_NS:
                digests[name] = digest
                continue
        digests[name] = settled[name, stamp] = digest
    if noted and settled != known:
        _write_notes(noted, settled)
    size = sum(stamp[0] for stamp in stamped.values())
    return Contents(digests[""] if "" in digests else listing_digest(digests), size, len(stamped))


def listing_digest(digests: Mapping[str, str]) -> str:
    """Return the digest of a folder from {path below it: digest}."""
    lines = (f"{digests[name]}  {name}\n" for name in sorted(digests, key=os.fsencode))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (path below the folder, file), and refuse what has no digest."""
    if not folder.exists():
        raise UserError(f"{folder} does not exist")
    if not folder.is_dir():
        raise UserError(f"{folder} is neither a file nor a folder")
    empty = True
    for parent, folders, names in os.walk(folder, onerror=_raise):
        links = (name for name in folders if Path(parent, name).is_symlink())
        for name in [*links, *names]:
            path = Path(parent, name)
            if not path.is_file():
                kind = "a link to no file" if path.is_symlink() else "no plain file"
                raise UserError(f"{path} is {kind}, so {folder.name} has no digest; remove it")
            below = path.relative_to(folder).as_posix()
            if "\n" in below or "\\" in below:
                raise UserError(f"{path!r} has a line break or a backslash in its name; rename it")
            empty = False
            yield below, path
    if empty:
        raise UserError(f"{folder} holds no file")


def _raise(error: OSError) -> None:
    raise error


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def _file_digest(path: Path, stamp: Stamp, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                if progress:
                    progress(len(chunk))
            changed = _stamp(os.fstat(file.fileno())) != stamp
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if changed:
        raise UserError(f"{path} changed while it was read; wait until it is whole, and try again")
    return digest.hexdigest()


def _read_notes(path: Path) -> dict[tuple[str, Stamp], str]:
    """Return {(name, stamp): digest}; empty if the notes are missing or damaged."""
    try:
        rows = json.loads(path.read_text())
        return {(name, _as_stamp(stamp)): str(digest) for name, stamp, digest in rows}
    except (OSError, ValueError, TypeError):
        return {}


def _as_stamp(values: list[int]) -> Stamp:
    size, changed, inode, status_changed = map(int, values)
    return size, changed, inode, status_changed


def _write_notes(path: Path, digests: Mapping[tuple[str, Stamp], str]) -> None:
    rows = [[name, stamp, digest] for (name, stamp), digest in digests.items()]
    with suppress(OSError):  # without notes, the next look reads the files again
        atomic_write(path, json.dumps(rows))
