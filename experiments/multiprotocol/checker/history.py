"""History of operations on registers: its columns, and what makes a valid operation.

Operations are columns of numbers (`History`). Values, keys, and clients are numbered; number 0 is
null. Two JSON values are the same if they are equal as JSON: 1 and 1.0 are one number; 1, "1", and
true are three values; the order of an object's members does not matter.
"""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.multiprotocol.checker.values import Tokens, Trouble, Values, canonical

READ, WRITE, CAS, FAILED_CAS, NOTHING = 0, 1, 2, 3, 255
NEVER = np.iinfo(np.int64).max
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
RESULTS = 'true, "ok", false, "fail", "info", "unknown"'
LINE, ENTRY = "line", "entry"  # what a history counts: lines of its file, or entries of a list


class BadInput(Exception):
    """A line, or an entry of a list, that is not a valid operation; they count from 1."""

    def __init__(self, line, what, unit=LINE):
        super().__init__(f"{unit} {line}: {what}")
        self.line, self.what = line, what


@contextmanager
def counted_in(unit):
    """Let each `BadInput` raised within say that it counts in this unit."""
    try:
        yield
    except BadInput as error:
        raise BadInput(error.line, error.what, unit) from None


@dataclass
class History:
    """Columns of a history, with one entry per operation.

    Each register first holds the value with the number `initial`. `line` counts lines or entries,
    as `unit` says.
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
    values: "Values | Tokens"
    initial: int = 0
    unit: str = LINE
    note: str = ""  # what its reader left out, if anything

    def __len__(self):
        return len(self.kind)

    def of_key(self, key):
        """Return the places of the operations on one key (a number) that constrain anything."""
        return np.flatnonzero((self.key == key) & (self.kind != NOTHING))

    def start_with(self, value):
        """Let each register first hold this value (a JSON value)."""
        self.initial = self.values.number(value)


def why_unreadable(error, last):
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if not isinstance(error, ValueError):
        return "a number that is too long, or values nested too deeply"
    return f"not JSON: {error}" + "; the file's last line, perhaps cut off" * last


def from_operations(numbered, unit=LINE):
    """Return the `History` of (line number, operation as a dict) pairs. Raises `BadInput`."""
    with counted_in(unit):
        return _from_operations(numbered, unit)


def _from_operations(numbered, unit):
    values = Values()
    number = values.number
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    for line, operation in numbered:
        kind, value, set_to, completed = _meaning(line, operation)
        try:
            named = {name: number(operation[name]) for name in ("key", "client")}
            named.update(value=number(value), set_to=number(set_to))
        except Trouble as error:
            raise BadInput(line, why_unreadable(error, last=False)) from None
        entry = dict(
            named, kind=kind, invoked=operation["invoked_ns"], completed=completed, line=line
        )
        for name, column in columns.items():
            column.append(entry[name])
    arrays: dict[str, Any] = {n: np.array(c, COLUMNS[n]) for n, c in columns.items()}
    return History(**arrays, values=values, unit=unit)


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
    if completed != NEVER and not _among(result, (None, *SUCCEEDED, *FAILED)):
        raise BadInput(line, f'"result" {shown(result)} of a {op} is not one of {RESULTS}')
    failed = completed != NEVER and _among(result, FAILED)
    if op == "delete":
        return NOTHING if failed else WRITE, None, None, completed
    for name in ("value",) if op == "write" else ("expected", "new"):
        if name not in operation:
            raise BadInput(line, f'a {op} needs "{name}"')
    if op == "write":
        return NOTHING if failed else WRITE, operation["value"], None, completed
    if result is None and completed != NEVER:
        raise BadInput(
            line, 'a completed cas needs "result" true or false (the value differed), or "fail"'
        )
    kind = CAS if not failed else FAILED_CAS if result is False else NOTHING
    return kind, operation["expected"], operation["new"], completed


def shown(value):
    """Return a JSON value as text for a message."""
    return json.dumps(value, default=str)[:80]


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
        raise BadInput(
            line, f'"op" {shown(operation["op"])} is not one of read, write, cas, delete'
        )
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
