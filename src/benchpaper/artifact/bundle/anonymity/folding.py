"""Fold text: without accents, invisible characters, and compatibility forms, so that é equals e."""

import unicodedata
from itertools import accumulate

# Letters that Unicode does not decompose into a letter and an accent.
BASE_LETTERS = {
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th",
    "Þ": "Th", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ß": "ss", "ẞ": "SS", "ı": "i",
    "ħ": "h", "Ħ": "H", "ŋ": "ng", "Ŋ": "Ng",
}  # fmt: skip
NOT_ALPHANUMERIC = bytes(
    code for code in range(128) if not chr(code).isalnum()
)  # deleted from ASCII texts


class _Table(dict[int, str]):
    """A table for `str.translate`, which fills itself."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = BASE_LETTERS.get(character) or "".join(
            BASE_LETTERS.get(part, part)
            for part in unicodedata.normalize("NFKD", character)
            if not unicodedata.combining(part) and unicodedata.category(part) != "Cf"
        )
        self[code] = folded
        return folded


_FOLDED = _Table()


def fold(text: str) -> str:
    """Return the text without accents and invisible characters; case and separators stay."""
    return text if text.isascii() else text.translate(_FOLDED)


def squeeze(text: str) -> str:
    """Return the letters and digits of a folded text, in lower case."""
    if text.isascii():
        return text.encode().translate(None, NOT_ALPHANUMERIC).lower().decode()
    return "".join(filter(str.isalnum, text.casefold()))


def offsets(text: str) -> list[int]:
    """Return where each character of the text begins in `fold(text)`, and its whole length."""
    if text.isascii():
        return list(range(len(text) + 1))
    return [0, *accumulate(len(_FOLDED[ord(character)]) for character in text)]
