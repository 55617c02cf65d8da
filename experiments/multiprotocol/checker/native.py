"""Compiled half of the checker: the C files as a library, built once per version of the sources.

Set-up builds it with `python -m experiments.multiprotocol.checker.native`; otherwise the first
check does, in about a second. Without a C compiler, Python does all the work, more slowly.
"""

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
SOURCES = (
    "history.h",
    "parse.c",
    "keys.c",
    "unique.h",
    "unique.c",
    "nulls.c",
    "search.h",
    "search.c",
    "prepare.c",
    "refute.c",
    "pending.c",
    "configurations.c",
)
FLAGS = ("-std=c11", "-O3", "-march=x86-64-v2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
MAX_PROOF = 8
FIELDS = ("kind", "key", "client", "value", "set_to", "invoked", "completed", "line")


class Described(ctypes.Structure):
    """Struct `history` of history.h."""

    _fields_ = [("count", ctypes.c_int64), ("initial", ctypes.c_int32)] + [
        (name, ctypes.c_void_p) for name in FIELDS
    ]


def pointer(array):
    """Return the address of a numpy array's first entry."""
    return ctypes.c_void_p(array.ctypes.data)


def described(columns, initial=0):
    """Return the `Described` of {name: numpy array}; the arrays must outlive it."""
    first = next(iter(columns.values()))
    addresses = {name: column.ctypes.data for name, column in columns.items()}
    return Described(len(first), initial, **addresses)


@cache
def library():
    """Return the library, or False if it does not exist and no compiler can build it."""
    try:
        loaded = ctypes.CDLL(str(build()))
    except OSError:
        return False
    loaded.history_parse.restype = ctypes.c_int64
    loaded.history_parse.argtypes = [
        ctypes.c_char_p,
        ctypes.c_int64,
        ctypes.c_int32,
        *[ctypes.c_void_p] * 5,
    ]
    loaded.history_check.restype = ctypes.c_int32
    loaded.history_check.argtypes = [ctypes.c_void_p, ctypes.c_int32, *[ctypes.c_void_p] * 4]
    loaded.history_search.restype = ctypes.c_int32
    loaded.history_search.argtypes = [
        ctypes.c_void_p,
        ctypes.c_double,
        *[ctypes.c_int64] * 2,
        *[ctypes.c_void_p] * 2,
    ]
    loaded.history_search_keys.restype = ctypes.c_int32
    loaded.history_search_keys.argtypes = [
        *[ctypes.c_void_p] * 4,
        ctypes.c_int32,
        *[ctypes.c_double] * 2,
        *[ctypes.c_int64] * 2,
        *[ctypes.c_void_p] * 3,
    ]
    return loaded


def why_not():
    """Return one line that says why there is no library, and what to do."""
    try:
        build()
        reason = "the compiled half cannot be loaded"
    except FileNotFoundError:
        reason = "no C compiler (cc)"
    except OSError as error:
        reason = str(error).splitlines()[0][:150]
    return (
        f"{reason}: checking in Python, many times slower. "
        "Install one (apt-get install gcc) and run again"
    )


def build():
    """Return the path of the library, and compile it first if needed.

    Raises `OSError` if that is not possible.
    """
    text = b"".join((FOLDER / name).read_bytes() for name in SOURCES)
    name = (
        f"benchpaper-checker-{hashlib.sha256(text + ' '.join(FLAGS).encode()).hexdigest()[:16]}.so"
    )
    places = [
        FOLDER / "__pycache__",
        Path(tempfile.gettempdir()) / f"benchpaper-checker-{os.getuid()}",
    ]
    for place in places:
        if _is_ours(place / name):
            return place / name
    for place in places:
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            return _compile(place / name)
        except OSError as error:
            failed = error
    raise failed


def _is_ours(path):
    """True if only this user or root can have put the file there."""
    return (
        path.is_file()
        and path.stat().st_uid in (os.getuid(), 0)
        and path.parent.stat().st_uid in (os.getuid(), 0)
    )


def _compile(path):
    part = path.with_name(f".{path.name}.{os.getpid()}")
    command = [
        "cc",
        *FLAGS,
        *(str(FOLDER / name) for name in SOURCES if name.endswith(".c")),
        "-o",
        str(part),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"cc could not compile the checker: {done.stderr.strip()[:500]}")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


@dataclass(frozen=True)
class Grouped:
    """A history with its operations by key: those of key k are order[start[k]:start[k + 1]].

    `verdict` and `proof` are what unique values tell of each key (`check`).
    """

    columns: dict
    initial: int
    start: np.ndarray
    order: np.ndarray
    verdict: np.ndarray  # 0 linearizable, 1 not, 2 to be searched
    proof: np.ndarray  # places of operations that matter, -1 after the last


def check(loaded, history):
    """Return the `Grouped` of a history: history_check in keys.c."""
    names, count = len(history.values), len(history)
    columns = {name: np.ascontiguousarray(getattr(history, name)) for name in FIELDS}
    grouped = Grouped(
        columns,
        history.initial,
        start=np.zeros(names + 1, np.int32),
        order=np.empty(max(count, 1), np.int32),
        verdict=np.zeros(names, np.uint8),
        proof=np.empty((names, MAX_PROOF), np.int32),
    )
    arrays = (grouped.start, grouped.order, grouped.verdict, grouped.proof)
    _enough_memory(
        loaded.history_check(
            ctypes.byref(described(columns, history.initial)), names, *map(pointer, arrays)
        )
    )
    return grouped


def search_keys(loaded, grouped, keys, seconds, most_each, most, beam):
    """Search the histories of these keys, each for at most its share of `seconds`, and `most_each`.

    Return, by key: 0 linearizable, 1 not, 2 unknown; places of operations that matter; whether the
    violation is certain once the first of those completes. See history_search_keys in keys.c.
    """
    keys = np.asarray(keys, np.int32)
    word, certain = np.empty(len(keys), np.uint8), np.zeros(len(keys), np.int32)
    proof = np.empty((len(keys), MAX_PROOF), np.int32)
    _enough_memory(
        loaded.history_search_keys(
            ctypes.byref(described(grouped.columns, grouped.initial)),
            pointer(grouped.start),
            pointer(grouped.order),
            pointer(keys),
            len(keys),
            seconds,
            most_each,
            most,
            beam,
            *map(pointer, (word, proof, certain)),
        )
    )
    return word, proof, certain


def search(loaded, columns, initial, seconds, most, beam):
    """Return the same for one history on one key, given as columns: history_search in search.c."""
    proof, certain = np.empty(MAX_PROOF, np.int32), ctypes.c_int32()
    word = loaded.history_search(
        ctypes.byref(described(columns, initial)),
        seconds,
        most,
        beam,
        pointer(proof),
        ctypes.byref(certain),
    )
    return word, proof, certain.value


def _enough_memory(refused):
    if refused:
        raise MemoryError("the history does not fit into memory")


if __name__ == "__main__":
    try:
        print(build())
    except OSError as error:
        sys.exit(f"the checker stays uncompiled, and slower: {error}")
