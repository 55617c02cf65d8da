"""Control characters are shown, not obeyed; words in any language stay as they are."""

import pytest

from benchpaper.core.printable import printable, printable_line

SHOWN = [
    ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
    ("\x9b2J", r"\x9b2J"),
    ("a\rb\x08\x00\x7f", r"a\rb\x08\x00\x7f"),
    ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
    ("\u2028\u2029\u200b\ufeff", r"\u2028\u2029\u200b\ufeff"),
    ("\ud800\ue000", r"\ud800\ue000"),
    ("µs, 数据, été, 1\u202f000", "µs, 数据, été, 1\u202f000"),
]


@pytest.mark.parametrize("text, shown", SHOWN)
def test_control_characters_are_shown(text, shown):
    assert printable(text) == printable_line(text) == shown
    assert printable(f"{text}\n\t{text}\n") == f"{shown}\n\t{shown}\n"


def test_lines_are_joined_and_long_ones_are_cut():
    assert printable_line("one\n\n  two \r\nthree\n") == r"one | two | three"
    line = printable_line("x" * 10_000_000)
    assert line == "x" * 2000 + " ..." and len(printable_line("\x1b" * 10_000)) < 2100
