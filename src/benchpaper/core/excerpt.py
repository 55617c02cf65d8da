"""Cut texts so that no word is cut, because half a secret looks like no secret."""

import re

MAX_WORD_BYTES = 4096  # of a text without any gap, so much is dropped at the cut
CUT_LINE = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
CUT_WORD = re.compile(rb"[^\s,;&\"'|]*[\s,;&\"'|]")


def head(data: bytes, max_bytes: int) -> str:
    """Return the beginning of `data`, at most `max_bytes`, without the word at the cut."""
    if len(data) <= max_bytes:
        return data.decode(errors="replace")
    kept = data[:max_bytes]
    word = re.search(rb"\S*\Z", kept[-MAX_WORD_BYTES:])
    return kept[: len(kept) - len(word[0] if word else b"")].decode(errors="replace")


def tail(data: bytes, max_bytes: int) -> str:
    """Return the end of `data`, at most `max_bytes`, without the line or the word at the cut.

    Indented lines after a cut line continue it, and are dropped with it.
    """
    if len(data) <= max_bytes:
        return data.decode(errors="replace")
    kept = data[len(data) - max_bytes :]
    first = kept[:MAX_WORD_BYTES]
    cut = CUT_LINE.match(first) or CUT_WORD.match(first)
    return kept[cut.end() if cut else len(first) :].decode(errors="replace")
