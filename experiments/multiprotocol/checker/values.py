"""Values of a history: JSON, compared as JSON: 1 and 1.0 are one number, 1 and "1" and true are three values, and the
order of an object's members says nothing."""

import json
from collections import Counter
from decimal import Decimal

LONG = 4000  # digits; Python refuses to read whole numbers that are much longer
Trouble = (
    ValueError,
    ArithmeticError,
    RecursionError,
)  # what a text raises that is not, or hardly, JSON


class Values:
    """The distinct values of a history by number, as JSON text."""

    def __init__(self, texts):
        self._texts = texts

    def __len__(self):
        return len(self._texts)

    def __getitem__(self, number):
        return self._texts[number]


class Tokens(Values):
    """Values that still lie in the text that was read."""

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
    """A JSON object; `twice` are the names that its text gave more than once."""

    def __init__(self, pairs):
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs) if len(self) < len(pairs) else {}
        self.twice = [name for name, count in counts.items() if count > 1]


def _whole(text):
    return int(text) if len(text) < LONG else Decimal(text)


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")


def canonical(value):
    """Return something hashable that is equal for equal JSON values, and for those alone."""
    if isinstance(value, bool) or value is None:
        return (type(value).__name__, value)
    if isinstance(value, (int, Decimal, float)):
        return ("number", Decimal(repr(value) if isinstance(value, float) else value))
    if isinstance(value, str):
        return ("string", value)
    if isinstance(value, list):
        return ("array", tuple(map(canonical, value)))
    return ("object", frozenset((name, canonical(item)) for name, item in value.items()))
