"""Reader of histories: JSON lines, a JSON array, or EDN; plain, or compressed with gzip or zstd."""

import codecs
import ctypes
import gzip
import zlib

import numpy as np

from experiments.multiprotocol.checker import jepsen, native
from experiments.multiprotocol.checker.history import (
    COLUMNS,
    ENTRY,
    LINE,
    BadInput,
    History,
    from_operations,
    why_unreadable,
)
from experiments.multiprotocol.checker.values import Tokens, Trouble, Values, loads

JSON, EDN = "json", "edn"
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SPACE = b" \t\r\n"


def format_of(path):
    """Return the format that a file's name tells: EDN for *.edn, *.edn.gz, and *.edn.zst."""
    name = str(path).lower().removesuffix(".gz").removesuffix(".zst")
    return EDN if name.endswith(".edn") else JSON


def read(path, format=JSON, nil_reads=False):
    """Return the `History` in a file; see `jepsen` for `nil_reads`.

    Raises `BadInput` for the first invalid line, and `OSError` if the file cannot be read.
    """
    with open(path, "rb") as file:
        text = _decompressed(file.read())
    return jepsen.parse(text, nil_reads) if format == EDN else parse(text)


def _decompressed(text):
    if text.startswith(GZIP):
        try:
            return gzip.decompress(text)
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput(1, f"compressed with gzip, and damaged: {error}") from None
    if text.startswith(ZSTD):
        import pyarrow

        try:
            return pyarrow.CompressedInputStream(pyarrow.BufferReader(text), "zstd").read()
        except (OSError, pyarrow.ArrowException) as error:
            raise BadInput(1, f"compressed with zstd, and damaged: {error}") from None
    return text


def parse(text, library=None):
    """Return the `History` in `text` (bytes of JSON lines, or of one JSON array).

    `library` None means the compiled parser, if it exists.
    """
    library = native.library() if library is None else library
    text = text.removeprefix(codecs.BOM_UTF8)
    is_array = text[:4096].lstrip(SPACE).startswith(b"[")
    if library and (text.isascii() or _is_utf8(text)):
        parsed = _parse_natively(library, text, is_array)
        if parsed is not None:
            return parsed
    return from_operations(_entries(text), ENTRY) if is_array else from_operations(_lines(text))


def _is_utf8(text):
    try:
        text.decode()
        return True
    except UnicodeDecodeError:
        return False


def _parse_natively(library, text, is_array):
    most = text.count(b"{" if is_array else b"\n") + 1
    columns = {name: np.empty(most, kind) for name, kind in COLUMNS.items()}
    offset, length = np.zeros(4 * most + 1, np.int64), np.zeros(4 * most + 1, np.int32)
    described, distinct, plain = native.described(columns), ctypes.c_int32(), ctypes.c_int32()
    refused = library.history_parse(
        text,
        len(text),
        is_array,
        ctypes.byref(described),
        native.pointer(offset),
        native.pointer(length),
        ctypes.byref(distinct),
        ctypes.byref(plain),
    )
    if refused < 0:
        raise MemoryError("the history does not fit into memory")
    if refused:
        return None  # the Python parser finds out what is wrong, if anything
    columns = {name: column[: described.count] for name, column in columns.items()}
    values = Tokens(text, offset[: distinct.value], length[: distinct.value])
    try:
        columns, values = (columns, values) if plain.value else _merged(columns, values)
    except Trouble:
        return None
    return History(**columns, values=values, unit=ENTRY if is_array else LINE)


def _merged(columns, tokens):
    """Give one number to values that are equal as JSON but differ as text.

    Examples are "a" and "\\u0061", and 1 and 1.0.
    """
    values, place = Values(), np.zeros(len(tokens), np.int32)
    for number in range(len(tokens)):
        place[number] = values.number(loads(tokens[number]), tokens[number])
    for name in ("key", "client", "value", "set_to"):
        columns[name] = place[columns[name]]
    return columns, values


def _lines(text):
    """Yield (line number, object) of each line that is not blank. Raises `BadInput`."""
    lines = text.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, loads(line.decode())
        except Trouble as error:
            raise BadInput(number, why_unreadable(error, last=number == len(lines))) from None


def _entries(text):
    """Return (number, object) of each entry of a JSON array. Raises `BadInput`."""
    try:
        return enumerate(loads(text.decode()), 1)
    except Trouble as error:
        line = getattr(error, "lineno", 1)
        raise BadInput(line, why_unreadable(error, last=False)) from None
