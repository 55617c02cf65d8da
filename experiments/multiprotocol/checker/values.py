"""JSON values of a history, compared as JSON.

1 and 1.0 are one number; 1, "1", and true are three values; the order of an object's members does
not matter.
"""

import json
import math
from collections import Counter
from decimal import Decimal

import numpy as np

LONG = 4000  # digits; Python refuses to read whole numbers that are much longer
# Exceptions raised by a text that is not JSON, or only just.
Trouble = (ValueError, ArithmeticError, RecursionError)


class Values:
    """Distinct values of a history by number, as JSON text. Number 0 is null."""

    def __init__(self):
        self._texts, self._numbers = ["null"], {canonical(None): 0}

    def __len__(self):
        return len(self._texts)

    def __getitem__(self, number):
        return self._texts[number]

    def number(self, value, text=None):
        """Return the number of a JSON value, and keep `text` of it if it is new."""
        same = canonical(value)
        if same not in self._numbers:
            self._numbers[same] = len(self._texts)
            self._texts.append(as_json(value) if text is None else text)
        return self._numbers[same]


class Tokens:
    """Values that still lie in the text from which they were read.

    Each text tells its value: none has escapes, fractions, exponents, or members.
    """

    def __init__(self, text, offset, length):
        self._text, self._offset, self._length = text, offset, length
        self._more = []  # texts of values that do not lie there

    def __len__(self):
        return len(self._offset) + len(self._more)

    def __getitem__(self, number):
        if number == 0:
            return "null"
        if number >= len(self._offset):
            return self._more[number - len(self._offset)]
        begin = int(self._offset[number])
        return self._text[begin : begin + int(self._length[number])].decode()

    def number(self, value):
        """Return the number of a JSON value; a new one if it does not lie in the text."""
        if value is None:
            return 0
        if isinstance(value, Decimal) and value.adjusted() < LONG and value == int(value):
            value = int(value)  # 7.0 lies there as 7
        wanted, characters = as_json(value).encode(), np.frombuffer(self._text, np.uint8)
        same = np.flatnonzero(self._length == len(wanted))
        same = same[same > 0]
        for place, byte in enumerate(wanted):
            same = same[characters[self._offset[same] + place] == byte]
        if len(same):
            return int(same[0])
        self._more.append(wanted.decode())
        return len(self) - 1


def as_json(value):
    """Return the JSON text of a value."""
    return json.dumps(value, default=_json_number, ensure_ascii=False)


def _json_number(number):
    return float(number) if math.isfinite(float(number)) else str(number)


def loads(text):
    """Return the JSON value in `text`. Raises `ValueError` or one of `Trouble`."""
    return json.loads(
        text,
        parse_float=Decimal,
        parse_int=_whole,
        parse_constant=_no_constant,
        object_pairs_hook=Object,
    )


class Object(dict):
    """A JSON object; `twice` lists the names that its text gave more than once."""

    def __init__(self, pairs):
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs) if len(self) < len(pairs) else {}
        self.twice = [name for name, count in counts.items() if count > 1]


def _whole(text):
    return int(text) if len(text) < LONG else Decimal(text)


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")


def canonical(value):
    """Return a hashable that is equal exactly for equal JSON values."""
    if isinstance(value, bool) or value is None:
        return (type(value).__name__, value)
    if isinstance(value, (int, Decimal, float)):
        return ("number", Decimal(repr(value) if isinstance(value, float) else value))
    if isinstance(value, str):
        return ("string", value)
    if isinstance(value, list):
        return ("array", tuple(map(canonical, value)))
    return ("object", frozenset((name, canonical(item)) for name, item in value.items()))
