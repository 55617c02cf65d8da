"""Read every file for its text, and the files within it for theirs, down to a bounded depth.

A reader takes the bytes of one format and yields (place, content) for each part: a text, or the
bytes of another file. Whatever the format, the bytes themselves are read too.
"""

import bz2
import gzip
import io
import json
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchpaper.artifact.bundle.anonymity import forms, pdf, pictures, tables
from benchpaper.artifact.bundle.anonymity.limits import MAX_DEPTH, Budget, CannotSearch, OutOfBounds

Part = tuple[str, str | bytes]
READABLE = re.compile(rb"(?:[\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3}){8,}")
READABLE_LATIN = re.compile(rb"[\x20-\x7e\xc0-\xff]{16,}")
READABLE_WIDE = {
    "UTF-16": re.compile(rb"(?:[\x20-\x7e\xa0-\xff]\0){3,}[\x20-\x7e\xa0-\xff]?"),
    "UTF-32": re.compile(rb"(?:[\x20-\x7e\xa0-\xff]\0\0\0){3,}[\x20-\x7e\xa0-\xff]?"),
}
TEXT_MARKS = {  # byte-order marks; that of UTF-32 begins with that of UTF-16
    b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig",
}  # fmt: skip
NOT_PRINTED = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd]")
LONG_STRING = 200  # characters; a longer string of JSON is searched by itself
CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))
DAMAGE = (  # what libraries raise for damaged files
    OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, MemoryError,
    RuntimeError, struct.error, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile,
)  # fmt: skip
# Formats that nothing here reads, by the suffix of the file's name.
CLOSED_SUFFIXES = frozenset(
    [".7z", ".br", ".cab", ".cpio", ".deb", ".dmg", ".lz", ".lzo", ".rar", ".rpm", ".z"]
)
ZIP_END, MAX_ZIP_COMMENT = b"PK\x05\x06", 65_535 + 22


@dataclass(frozen=True)
class Leaf:
    """A text, and its place in a file, such as " (gzip, notes.txt)".

    A `glued` text lacks the marks that stood between its parts, so it may name what the file does
    not.
    """

    place: str
    text: str
    glued: bool = False


def leaves(data: bytes, budget: Budget, place: str = "", depth: int = 0) -> Iterator[Leaf]:
    """Yield every text in the bytes of a file.

    Raises `CannotSearch` for a file that is encrypted or damaged, or that exceeds the bounds.
    """
    if not budget.is_new(data):
        return
    text, reader = _as_text(data), _reader_of(data)
    if depth > MAX_DEPTH and (reader or text):
        raise OutOfBounds(f"it holds more than {MAX_DEPTH} files within each other", place)
    if text is None or b"\0" in data:
        for encoding, run in _readable(data, is_known=reader is not None):
            yield from _of_text(run, budget, f"{place} ({encoding})" if encoding else place, depth)
    if text is not None:
        yield from _of_text(text, budget, place, depth)
    if reader:
        name, read = reader
        try:
            for inner, content in read(data, budget):
                where = f"{place} ({name}{inner and ', '}{inner})"
                yield from _of_part(content, budget, where, depth)
        except DAMAGE as error:
            raise CannotSearch(f"it cannot be read: {error}", f"{place} ({name})") from None


def _of_part(content: str | bytes, budget: Budget, place: str, depth: int) -> Iterator[Leaf]:
    if isinstance(content, bytes):
        yield from leaves(content, budget, place, depth + 1)
    else:
        yield from _of_text(content, budget, place, depth)


def _of_text(text: str, budget: Budget, place: str, depth: int) -> Iterator[Leaf]:
    """Yield a text in all its forms, and what is embedded in them."""
    yield from _of_forms(text, budget, place, depth)
    if text.lstrip()[:1] in ("{", "["):
        # Strings decoded by the rules of JSON alone, such as an image whose base64 has line breaks.
        for where, string in _json_strings(text):
            yield from _of_forms(string, budget, f"{place} ({where})", depth)


def _of_forms(text: str, budget: Budget, place: str, depth: int) -> Iterator[Leaf]:
    for encoding, form in forms.forms(text):
        budget.spend(len(form))
        where = f"{place} ({encoding})" if encoding else place
        yield Leaf(where, form, encoding.endswith(forms.GLUED))
        for name, data in forms.embedded(form):
            if _is_content(data):
                yield from _embedded(data, budget, f"{where} ({name})", depth)


def _embedded(data: bytes, budget: Budget, place: str, depth: int) -> Iterator[Leaf]:
    """Yield the texts in decoded bytes, which may only by chance look like a file."""
    try:
        yield from leaves(data, budget, place, depth + 1)
    except OutOfBounds:
        raise
    except CannotSearch:
        return  # it was no such file, or only its beginning; its bytes were read


def _is_content(data: bytes) -> bool:
    """Return whether bytes hold text or a known format, and not what any word decodes to."""
    try:
        if not NOT_PRINTED.search(data.decode()):
            return True
    except UnicodeDecodeError:
        pass
    runs = (READABLE, *READABLE_WIDE.values())
    return any(pattern.search(data) for pattern in runs) or _reader_of(data) is not None


def _as_text(data: bytes) -> str | None:
    """Return the text of a file, or None if it is binary."""
    for mark, encoding in TEXT_MARKS.items():
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                return None
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        is_binary = len(data) != len(data.translate(None, CONTROL_BYTES)) or _reader_of(data)
        return None if is_binary else data.decode("cp1252", errors="replace")


def _readable(data: bytes, is_known: bool) -> Iterator[tuple[str, str]]:
    """Yield (encoding, readable runs) of binary data: long runs, since chance makes short ones.

    In Latin-1 most bytes are letters, so only data without a reader are read as such.
    """
    runs = [run.decode(errors="ignore") for run in READABLE.findall(data)]
    yield "", "\n".join(runs)
    if (
        not is_known
        and (latin := [run.decode("latin-1") for run in READABLE_LATIN.findall(data)]) != runs
    ):
        yield "Latin-1", "\n".join(latin)
    for encoding, pattern in READABLE_WIDE.items():
        if wide := [run.replace(b"\0", b"").decode("latin-1") for run in pattern.findall(data)]:
            yield encoding, "\n".join(wide)


def _json_strings(text: str) -> list[tuple[str, str]]:
    """Return (path, string) of the long strings of a JSON document, and of all strings as one."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    strings: list[tuple[str, str]] = []
    _walk(document, "", strings)
    long = [(where, string) for where, string in strings if len(string) > LONG_STRING]
    short = (string for _, string in strings if len(string) <= LONG_STRING)
    return [*long, ("JSON", "\n".join(short))]


def _walk(value: Any, where: str, strings: list[tuple[str, str]]) -> None:
    if isinstance(value, str):
        strings.append((where or "JSON", value))
    elif isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            strings.append((where, "".join(value)))  # a notebook's texts are lists of lines
        else:
            for number, item in enumerate(value):
                _walk(item, f"{where}[{number}]", strings)
    elif isinstance(value, dict):
        for key, item in value.items():
            strings.append((f"a key of {where}", key))
            _walk(item, f"{where}.{key}" if where else key, strings)


# ---- the readers of containers ----


def _gzip(data: bytes, budget: Budget) -> Iterator[Part]:
    with gzip.open(io.BytesIO(data)) as stream:
        yield "", budget.read(stream)


def _bzip2(data: bytes, budget: Budget) -> Iterator[Part]:
    with bz2.open(io.BytesIO(data)) as stream:
        yield "", budget.read(stream)


def _xz(data: bytes, budget: Budget) -> Iterator[Part]:
    with lzma.open(io.BytesIO(data)) as stream:
        yield "", budget.read(stream)


def _arrow_stream(codec: str) -> Callable[[bytes, Budget], Iterator[Part]]:
    def read(data: bytes, budget: Budget) -> Iterator[Part]:
        import pyarrow as pa

        stream = pa.CompressedInputStream(pa.BufferReader(data), codec)
        yield "", budget.read(stream)

    return read


def _zip(data: bytes, budget: Budget) -> Iterator[Part]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield "comment", archive.comment
        for entry in archive.infolist():
            yield "a name", entry.filename
            yield f"the comment of {entry.filename}", entry.comment
            yield f"an extra field of {entry.filename}", entry.extra
            if entry.flag_bits & 1:
                raise CannotSearch(f"its entry {entry.filename} is encrypted")
            with archive.open(entry) as stream:
                yield entry.filename, budget.read(stream)


def _tar(data: bytes, budget: Budget) -> Iterator[Part]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        yield "global headers", _headers(archive.pax_headers)
        for member in archive:
            yield "a name", f"{member.name}\n{member.linkname}"
            yield f"the owner of {member.name}", f"{member.uname}\n{member.gname}"
            yield f"the headers of {member.name}", _headers(member.pax_headers)
            if (stream := archive.extractfile(member)) is not None:
                yield member.name, budget.read(stream)


def _headers(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={value}" for key, value in headers.items())


def _closed(data: bytes, budget: Budget) -> Iterator[Part]:
    raise CannotSearch("archives of this kind cannot be read here")
    yield


READERS: list[tuple[bytes, str, Callable[[bytes, Budget], Iterator[Part]]]] = [
    (b"\x1f\x8b\x08", "gzip", _gzip),
    (b"BZh", "bzip2", _bzip2),
    (b"\xfd7zXZ\0", "xz", _xz),
    (b"\x5d\0\0", "lzma", _xz),
    (b"\x28\xb5\x2f\xfd", "zstd", _arrow_stream("zstd")),
    (b"\x04\x22\x4d\x18", "lz4", _arrow_stream("lz4")),
    (b"PK\x03\x04", "ZIP", _zip),
    (b"PK\x05\x06", "ZIP", _zip),
    (b"7z\xbc\xaf\x27\x1c", "7z", _closed),
    (b"Rar!\x1a\x07", "RAR", _closed),
    (b"\x89PNG\r\n\x1a\n", "PNG", pictures.read_png),
    (b"%PDF-", "PDF", pdf.read),
    (b"PAR1", "Parquet", tables.read_parquet),
    (b"ARROW1", "Arrow", tables.read_arrow),
]


def _reader_of(data: bytes) -> tuple[str, Callable[[bytes, Budget], Iterator[Part]]] | None:
    for magic, name, read in READERS:
        if data.startswith(magic) and (name != "bzip2" or data[4:10] == b"1AY&SY"):
            return name, read
    if data[257:262] == b"ustar":
        return "tar", _tar
    if ZIP_END in data[-MAX_ZIP_COMMENT:]:  # a program before it unpacks it
        return "ZIP", _zip
    if b"%PDF-" in data[:1024]:
        return "PDF", pdf.read
    return None
