"""History of operations on registers: its columns, and its reader for JSON lines.

Operations are columns of numbers (`History`). Values, keys, and clients are numbered; number 0 is
null. Two JSON values are the same if they are equal as JSON: 1 and 1.0 are one number; 1, "1", and
true are three values; the order of an object's members does not matter.
"""

import codecs
import ctypes
import gzip
import json
import math
import zlib
from dataclasses import dataclass

import numpy as np

from experiments.multiprotocol.checker import native
from experiments.multiprotocol.checker.values import Tokens, Trouble, Values, canonical, loads

READ, WRITE, CAS, FAILED_CAS, NOTHING = 0, 1, 2, 3, 255
NEVER = np.iinfo(np.int64).max
GZIP = b"\x1f\x8b"
COLUMNS = {
    "kind": np.uint8,
    "key": np.int32,
    "client": np.int32,
    "value": np.int32,
    "set_to": np.int32,
    "invoked": np.int64,
    "completed": np.int64,
    "line": np.int32,
}
SUCCEEDED, FAILED, UNKNOWN = (True, "ok"), (False, "fail"), ("info", "unknown")


class BadInput(Exception):
    """A line that is not a valid operation; `line` counts from 1."""

    def __init__(self, line, what):
        super().__init__(f"line {line}: {what}")
        self.line = line


@dataclass
class History:
    """Columns of a history, with one entry per operation.

    `values[number]` is a value, key, or client as JSON text. A completion of `NEVER` means an
    unknown outcome. Operations of kind NOTHING constrain nothing (a read without an answer, a write
    that failed).
    """

    kind: np.ndarray
    key: np.ndarray
    client: np.ndarray
    value: np.ndarray
    set_to: np.ndarray
    invoked: np.ndarray
    completed: np.ndarray
    line: np.ndarray
    values: "Values"

    def __len__(self):
        return len(self.kind)

    def of_key(self, key):
        """Return the places of the operations on one key (a number) that constrain anything."""
        return np.flatnonzero((self.key == key) & (self.kind != NOTHING))


def read(path):
    """Return the `History` in a file.

    Raises `BadInput` for the first invalid line, and `OSError` if the file cannot be read.
    """
    with open(path, "rb") as file:
        text = file.read()
    if text.startswith(GZIP):
        try:
            text = gzip.decompress(text)
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput(1, f"compressed with gzip, and damaged: {error}") from None
    return parse(text)


def parse(text, library=None):
    """Return the `History` in `text` (bytes of JSON lines).

    `library` None means the compiled parser, if it exists.
    """
    library = native.library() if library is None else library
    text = text.removeprefix(codecs.BOM_UTF8)
    if library and (text.isascii() or _is_utf8(text)):
        parsed = _parse_natively(library, text)
        if parsed is not None:
            return parsed
    return from_operations(_lines(text))


def _is_utf8(text):
    try:
        text.decode()
        return True
    except UnicodeDecodeError:
        return False


def _parse_natively(library, text):
    lines = text.count(b"\n") + 1
    columns = {name: np.empty(lines, kind) for name, kind in COLUMNS.items()}
    offset, length = np.zeros(4 * lines + 1, np.int64), np.zeros(4 * lines + 1, np.int32)
    described, distinct, plain = native.described(columns), ctypes.c_int32(), ctypes.c_int32()
    refused = library.history_parse(
        text,
        len(text),
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
    if plain.value:
        return History(**columns, values=values)
    try:
        return _merged(columns, values)
    except Trouble:
        return None


def _merged(columns, values):
    """Give one number to values that are equal as JSON but differ as text.

    Examples are "a" and "\\u0061", and 1 and 1.0.
    """
    numbers, place = {}, np.zeros(len(values), np.int32)
    texts: list = []
    for number in range(len(values)):
        text = values[number]
        same = canonical(loads(text))
        if same not in numbers:
            numbers[same] = len(texts)
            texts.append(text)
        place[number] = numbers[same]
    for name in ("key", "client", "value", "set_to"):
        columns[name] = place[columns[name]]
    return History(**columns, values=Values(texts))


def _lines(text):
    """Yield (line number, object) of each line that is not blank. Raises `BadInput`."""
    lines = text.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, loads(line.decode())
        except Trouble as error:
            raise BadInput(number, _why_unreadable(error, last=number == len(lines))) from None


def _why_unreadable(error, last):
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if not isinstance(error, ValueError):
        return "a number that is too long, or values nested too deeply"
    return f"not JSON: {error}" + "; the file's last line, perhaps cut off" * last


def from_operations(numbered):
    """Return the `History` of (line number, operation as a dict) pairs. Raises `BadInput`."""
    numbers, texts = {("NoneType", None): 0}, ["null"]
    columns: dict[str, list] = {name: [] for name in COLUMNS}

    def number(value):
        same = canonical(value)
        if same not in numbers:
            numbers[same] = len(texts)
            texts.append(json.dumps(value, default=_json_number, ensure_ascii=False))
        return numbers[same]

    for line, operation in numbered:
        kind, value, set_to, completed = _meaning(line, operation)
        try:
            named = {name: number(operation[name]) for name in ("key", "client")}
            named.update(value=number(value), set_to=number(set_to))
        except Trouble as error:
            raise BadInput(line, _why_unreadable(error, last=False)) from None
        entry = dict(
            named, kind=kind, invoked=operation["invoked_ns"], completed=completed, line=line
        )
        for name, column in columns.items():
            column.append(entry[name])
    return History(**{n: np.array(c, COLUMNS[n]) for n, c in columns.items()}, values=Values(texts))


def _json_number(number):
    return float(number) if math.isfinite(float(number)) else str(number)


def _meaning(line, operation):
    """Return (kind, value, set_to, completion) of one operation. Raises `BadInput`.

    `set_to` is the value that a compare-and-set writes.
    """
    _check_form(line, operation)
    op, result, completed = operation["op"], operation.get("result"), operation["completed_ns"]
    completed = (
        NEVER if completed is None or (op != "read" and _among(result, UNKNOWN)) else completed
    )
    if op == "read":
        return (
            NOTHING if completed == NEVER else READ,
            None if completed == NEVER else _answer(line, operation),
            None,
            completed,
        )
    failed = completed != NEVER and _among(result, FAILED)
    if op == "delete":
        return NOTHING if failed else WRITE, None, None, completed
    for name in ("value",) if op == "write" else ("expected", "new"):
        if name not in operation:
            raise BadInput(line, f'a {op} needs "{name}"')
    if op == "write":
        return NOTHING if failed else WRITE, operation["value"], None, completed
    if not failed and completed != NEVER and not _among(result, SUCCEEDED):
        raise BadInput(
            line,
            f'a completed cas needs "result" true or false, not {json.dumps(result, default=str)}',
        )
    return FAILED_CAS if failed else CAS, operation["expected"], operation["new"], completed


def _among(result, words):
    return any(type(result) is type(word) and result == word for word in words)


def _answer(line, operation):
    """Return what a read returned: its "result", or its "value" if there is no result."""
    if "result" not in operation and "value" not in operation:
        raise BadInput(line, 'a completed read needs "result", the value that it returned')
    if operation.get("value") is None or "result" not in operation:
        return operation["result"] if "result" in operation else operation["value"]
    if canonical(operation["value"]) != canonical(operation["result"]):
        raise BadInput(
            line,
            'a read has both "value" and "result", and they differ; '
            'give what it returned as "result"',
        )
    return operation["result"]


def _check_form(line, operation):
    if not isinstance(operation, dict):
        raise BadInput(line, f"an operation is a JSON object, not {type(operation).__name__}")
    for name in getattr(operation, "twice", ()):
        raise BadInput(line, f"{json.dumps(name)} is given twice")
    for name in ("client", "op", "key", "invoked_ns", "completed_ns"):
        if name not in operation:
            raise BadInput(line, f'"{name}" is missing')
    if operation["op"] not in ("read", "write", "cas", "delete"):
        shown = json.dumps(operation["op"], default=str)
        raise BadInput(line, f'"op" {shown} is not one of read, write, cas, delete')
    if not _is_int(operation["key"]) and not isinstance(operation["key"], str):
        raise BadInput(line, '"key" must be a string or a whole number')
    for name in ("invoked_ns", "completed_ns"):
        at = operation[name]
        if not (_is_int(at) and abs(at) < NEVER) and not (name == "completed_ns" and at is None):
            raise BadInput(
                line,
                f'"{name}" must be a whole number of nanoseconds'
                f"{' or null' * (name == 'completed_ns')}",
            )
    if (
        operation["completed_ns"] is not None
        and operation["completed_ns"] < operation["invoked_ns"]
    ):
        raise BadInput(
            line,
            f"completed_ns {operation['completed_ns']} lies before "
            f"invoked_ns {operation['invoked_ns']}",
        )


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)
