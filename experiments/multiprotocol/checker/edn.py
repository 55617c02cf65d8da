"""Reader of EDN, the text form of Clojure's data, as far as histories use it.

Values become JSON values: a keyword or symbol the string with its text (":read"), a vector or list
an array, a map an object if its keys are strings or keywords. A tag is left out, and so is what
follows `#_`.
"""

import re
from decimal import Decimal

TOKEN = re.compile(
    r"""[\s,]+ | ;[^\n]*                        # nothing
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<open>\#\{|[(\[{]) | (?P<close>[)\]}])
    | (?P<discard>\#_) | (?P<meta>\^)
    | (?P<character>\\(?:newline|space|tab|return|formfeed|backspace|u[0-9a-fA-F]{4}|.))
    | (?P<atom>[^\s,;"()\[\]{}\\^]+)""",
    re.VERBOSE | re.DOTALL,
)
CLOSING = {"(": ")", "[": "]", "{": "}", "#{": "}"}
WORDS = {"nil": None, "true": True, "false": False}
WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)N?")
FRACTION = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?")
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
CHARACTERS = {
    "newline": "\n",
    "space": " ",
    "tab": "\t",
    "return": "\r",
    "formfeed": "\f",
    "backspace": "\b",
}
CLOSED, END, SKIP = object(), object(), object()


def values(text):
    """Yield the values of a text, one after the other. Raises `ValueError`, which names a line."""
    reader = _Reader(text)
    while (value := reader.value()) is not END:
        if value is CLOSED:
            raise reader.wrong("a bracket closes that was not opened")
        yield value


class _Reader:
    def __init__(self, text):
        self._text, self._at, self._closed = text, 0, ""

    def wrong(self, what):
        return ValueError(f"line {self._text.count(chr(10), 0, self._at) + 1}: {what}")

    def value(self):
        """Return the next value, `CLOSED` at a closing bracket, or `END`."""
        while True:
            value = self._token()
            if value is not SKIP:
                return value

    def _token(self):
        if self._at >= len(self._text):
            return END
        token = TOKEN.match(self._text, self._at)
        if not token:
            raise self.wrong(f"not EDN: {self._text[self._at : self._at + 20]!r}")
        self._at = token.end()
        kind = token.lastgroup
        if kind is None:
            return SKIP
        return getattr(self, f"_{kind}")(token.group())

    def _string(self, text):
        return ESCAPE.sub(self._escaped, text[1:-1])

    def _escaped(self, escape):
        name = escape[1]
        if len(name) == 5:
            return chr(int(name[1:], 16))
        if name not in ESCAPED:
            raise self.wrong(f"unknown escape \\{name} in a string")
        return ESCAPED[name]

    def _character(self, text):
        name = text[1:]
        return (
            chr(int(name[1:], 16))
            if len(name) == 5 and name != "space"
            else (CHARACTERS.get(name, name))
        )

    def _open(self, bracket):
        items = []
        while (item := self.value()) is not CLOSED:
            if item is END:
                raise self.wrong(f"{bracket} is not closed; the file is cut off, perhaps")
            items.append(item)
        if self._closed != CLOSING[bracket]:
            raise self.wrong(f"{bracket} is closed by {self._closed}")
        if bracket == "{":
            return self._map(items)
        return items if bracket != "#{" else ["#{}", *sorted(items, key=repr)]

    def _map(self, items):
        if len(items) % 2:
            raise self.wrong("a map has a key without a value")
        names, contents = items[::2], items[1::2]
        if all(isinstance(name, str) for name in names):
            return dict(zip(names, contents, strict=True))
        pairs = [list(pair) for pair in zip(names, contents, strict=True)]
        return ["{}", *sorted(pairs, key=repr)]

    def _close(self, bracket):
        self._closed = bracket
        return CLOSED

    def _discard(self, _):
        self._operand("#_")
        return SKIP

    def _meta(self, _):
        self._operand("^")
        return SKIP

    def _operand(self, sign):
        value = self.value()
        if value is CLOSED or value is END:
            raise self.wrong(f"nothing follows {sign}")
        return value

    def _atom(self, text):
        if text in WORDS:
            return WORDS[text]
        if text.startswith("#"):  # a tag, or a symbolic value such as ##Inf
            if text.startswith("##"):
                return text
            return self._operand(text)
        if WHOLE.fullmatch(text):
            return int(text.removesuffix("N"))
        if FRACTION.fullmatch(text):
            return Decimal(text.removesuffix("M"))
        if text[0].isdigit():
            raise self.wrong(f"{text} is no number of EDN")
        return text
