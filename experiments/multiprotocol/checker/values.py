"""JSON values of a history, compared as JSON.

1 and 1.0 are one number; 1, "1", and true are three values; the order of an object's members does
not matter.
"""

import json
from collections import Counter
from decimal import Decimal

LONG = 4000  # digits; Python refuses to read whole numbers that are much longer
# Exceptions raised by a text that is not JSON, or only just.
Trouble = (ValueError, ArithmeticError, RecursionError)


class Values:
    """Distinct values of a history by number, as JSON text."""

    def __init__(self, texts):
        self._texts = texts

    def __len__(self):
        return len(self._texts)

    def __getitem__(self, number):
        return self._texts[number]


class Tokens(Values):
    """Values that still lie in the text from which they were read."""

    def __init__(self, text, offset, length):
        self._text, self._offset, self._length = text, offset, length

    def __len__(self):
        return len(self._offset)

    def __getitem__(self, number):
        if number == 0:
            return "null"
        begin = int(self._offset[number])
        return self._text[begin : begin + int(self._length[number])].decode()


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
