r"""Show control characters in text that others wrote, so that no terminal and no log obeys them.

Escape codes can hide, forge, or overwrite what a terminal shows; marks of writing direction can
reorder it. Both are shown as Python writes them: `\x1b`, `\u202e`. Standard library only, because
this module is sent to target hosts too.
"""

import unicodedata

LONGEST_LINE = 2000  # characters


class _Shown(dict[int, str]):
    """A table for `str.translate`, filled on first use: each character, or what stands for it."""

    def __init__(self, kept: str):
        super().__init__({ord(character): character for character in kept})

    def __missing__(self, code: int) -> str:
        character = chr(code)
        harmless = character.isprintable() or unicodedata.category(character) == "Zs"  # a blank
        self[code] = character if harmless else character.encode("unicode_escape").decode()
        return self[code]


_TEXT, _LINE = _Shown("\n\t"), _Shown("\t")


def printable(text: str) -> str:
    """Return a text of several lines, with its control characters shown."""
    return text.translate(_TEXT)


def printable_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Return a text as one line of at most about `longest` characters, with its lines joined."""
    lines = (line.strip(" \t\r") for line in text[: 2 * longest].split("\n"))
    line = " | ".join(filter(None, lines)).translate(_LINE)
    return line if len(line) <= longest else f"{line[:longest]} ..."
