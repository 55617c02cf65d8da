"""Texts of mistakes: the nearest name, then what to do."""

import re
from pathlib import Path

import pytest

from benchpaper.core import errors
from benchpaper.core.errors import did_you_mean


@pytest.mark.parametrize(
    "value, then, text",
    [
        ("latncy", "", '; did you mean "latency"?'),
        ("latncy", "declare it", '; did you mean "latency"? declare it'),
        ("zzz", "", ""),
        ("zzz", "declare it", "; declare it"),
    ],
)
def test_a_near_name_comes_before_what_to_do(value, then, text):
    assert did_you_mean(value, ["latency", "size"], then) == text


def test_nothing_separates_a_question_from_what_follows():
    """`did you mean "x"?; do that` reads badly: what to do is the third argument."""
    package = Path(errors.__file__).parents[1]
    followed = re.compile(r"did_you_mean\([^()]*(?:\([^()]*\)[^()]*)*\)\}[\"']?\s*f?[\"']?;")
    texts = {path: path.read_text() for path in package.rglob("*.py")}
    assert sum("did_you_mean(" in text for text in texts.values()) > 10
    assert {path.name for path, text in texts.items() if followed.search(text)} == set()
    assert followed.search('f"x{did_you_mean(name, made)}; make it"')
    assert followed.search('f"x{did_you_mean(name, list(made))}"\n    "; make it"')
