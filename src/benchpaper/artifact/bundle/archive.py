"""The archive's bytes: writing a ZIP file in one canonical form, and reading a foreign one safely.

Entries are sorted, with one date and one of two modes. They are not compressed: large files are
compressed already, and another version of zlib would give other bytes. So the same files give the
same bytes, and no archive unpacks to more than its own size. Writing the files again and comparing
finds any other form, down to a single byte between the files.
"""

import hashlib
import re
import stat
import tempfile
import unicodedata
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from benchpaper.core.atomic_write import replacing
from benchpaper.core.errors import UserError
from benchpaper.core.printable import printable_line
from benchpaper.core.revision import MANIFEST, NOTED

ABOUT = NOTED
Date = tuple[int, int, int, int, int, int]  # year, month, day, hour, minute, second
MAX_ARCHIVE_BYTES = 500_000_000
MAX_FILES = 20_000
FORBIDDEN_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\\:]")


class ArchiveError(UserError):
    """An archive that cannot be trusted; the text is one line that says why.

    Quotes from the archive can neither break the line nor move the terminal's cursor.
    """

    def __init__(self, text: str) -> None:
        super().__init__(printable_line(text))


class NotVerified(ArchiveError):
    """An archive whose content is not what it claims; the text is one line that says why."""


def write(
    path: Path | str,
    files: Mapping[str, bytes],
    date: Date,
    executable: Collection[str] = (),
) -> str:
    """Write `files` and their manifest as an archive; return its SHA-256.

    `files` are {name: bytes}; all of them get the same `date`.
    """
    path = Path(path)
    with replacing(path) as part, open(part, "wb") as file:
        _write(file, {**files, MANIFEST: manifest(files)}, date, executable)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(
    file: IO[bytes], files: Mapping[str, bytes], date: Date, executable: Collection[str]
) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date)
            info.create_system = 3  # Unix, for the mode
            info.external_attr = (stat.S_IFREG | (0o755 if name in executable else 0o644)) << 16
            archive.writestr(info, files[name])


def manifest(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest: a line `SHA-256  NAME` for each file, for `sha256sum --check`."""
    return "".join(
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)
    ).encode()


def read(path: Path | str) -> tuple[dict[str, bytes], set[str]]:
    """Return ({name: bytes}, names of the executable files) of an archive.

    Checks names, kinds, sizes, digests and the canonical form before. Writes nothing. Raises
    `ArchiveError`.
    """
    files, executable, _ = read_dated(Path(path))
    return files, executable


def read_dated(path: Path) -> tuple[dict[str, bytes], set[str], Date]:
    """Return what `read` returns, and the date of all files."""
    if not path.is_file():
        raise ArchiveError(f"{path.name} is no file")
    if (size := path.stat().st_size) > MAX_ARCHIVE_BYTES:
        raise ArchiveError(
            f"{path.name} has {size:,} bytes, more than the {MAX_ARCHIVE_BYTES:,} "
            "that a bundle may have"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(entries, size)
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        if isinstance(error, UserError):
            raise
        raise ArchiveError(f"{path.name} is no readable ZIP file: {error}") from None
    executable = {entry.filename for entry in entries if entry.external_attr >> 16 & 0o100}
    _check_manifest(files)
    _check_form(path, files, entries[0].date_time, executable)
    return files, executable, entries[0].date_time


def _check_entries(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    if not entries or len(entries) > MAX_FILES:
        raise ArchiveError(f"it has {len(entries)} entries; a bundle has 1 to {MAX_FILES:,}")
    seen: dict[str, str] = {}
    for entry in entries:
        name = entry.filename
        _check_name(getattr(entry, "orig_filename", name))
        same = _same_name(name)
        if same in seen:
            raise ArchiveError(
                f'two entries are called "{name}"' + ("" if seen[same] == name else " but for case")
            )
        seen[same] = name
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or name.endswith("/"):
            names = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder"}
            raise ArchiveError(
                f'entry "{name}" is {names.get(kind, "no plain file")}; '
                "a bundle holds only plain files"
            )
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise ArchiveError(
                f'entry "{name}" is compressed or encrypted; a bundle stores its files as they are'
            )
    if (total := sum(entry.file_size for entry in entries)) > size:
        raise ArchiveError(
            f"its entries claim {total:,} bytes, more than the {size:,} of the whole archive"
        )
    for name in seen:  # a file where another needs a folder
        if any(str(parent) in seen for parent in PurePosixPath(name).parents):
            raise ArchiveError(f'entry "{seen[name]}" lies below another file')


def _same_name(name: str) -> str:
    """Return a text that is equal for two names which some file systems cannot tell apart."""
    return unicodedata.normalize("NFKC", name).casefold()


def _check_name(name: str) -> None:
    parts = name.split("/")
    if (
        name.startswith("/")
        or ".." in parts
        or "." in parts
        or "" in parts[:-1]
        or FORBIDDEN_CHARACTERS.search(name)
        or not name
    ):
        raise ArchiveError(f"entry {name!r} would not stay inside the folder; nothing was unpacked")
    if ".git" in name.lower().split("/"):
        raise ArchiveError(
            f'entry "{name}" is of git, which would run commands from it; a bundle has no history'
        )
    if len(name.encode(errors="surrogateescape")) > 1000 or any(
        len(part.encode(errors="surrogateescape")) > 255 for part in parts
    ):
        raise ArchiveError(f'entry "{name[:60]}…" has too long a name')


def _check_manifest(files: Mapping[str, bytes]) -> None:
    if MANIFEST not in files:
        raise ArchiveError(f"it has no {MANIFEST}; it is no bundle of benchpaper")
    listed = {}
    for line in files[MANIFEST].decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    contents = {name: data for name, data in files.items() if name != MANIFEST}
    if missing := sorted(set(listed) - set(contents)):
        raise ArchiveError(f'the manifest lists "{missing[0]}", which is not there')
    if extra := sorted(set(contents) - set(listed)):
        raise ArchiveError(f'"{extra[0]}" is not in the manifest')
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != listed[name]:
            raise ArchiveError(f'"{name}" is not what the manifest says: its SHA-256 differs')
    if files[MANIFEST] != manifest(contents):
        raise ArchiveError("the manifest is not in its canonical form")


def _check_form(
    path: Path, files: Mapping[str, bytes], date: Date, executable: Collection[str]
) -> None:
    try:
        with tempfile.TemporaryFile() as again:
            _write(again, files, date, executable)
            again.seek(0)
            with open(path, "rb") as file:
                same = _same(file, again)
    except ValueError as error:  # a date that no calendar has
        raise ArchiveError(f"an entry's date is invalid: {error}") from None
    if not same:
        raise ArchiveError(
            "its bytes are not those that these files give; "
            "something was changed between or after them"
        )


def _same(left: IO[bytes], right: IO[bytes], step: int = 1 << 20) -> bool:
    while True:
        part = left.read(step)
        if part != right.read(step):
            return False
        if not part:
            return True


def unpack(files: Mapping[str, bytes], executable: Collection[str], folder: Path | str) -> None:
    """Write the files below `folder`, which must be empty or new."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ArchiveError(f"{folder} is not empty; name a new folder")
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)
        path.chmod(0o755 if name in executable else 0o644)
