"""Accepted changes connect codes that count as the same, and their file has one form."""

import json

import pytest

from benchpaper.core.errors import UserError
from benchpaper.results import accepted
from benchpaper.results.accepted import AcceptedChange

WHEN = "2026-11-29T12:00:00+00:00"


def change(old, new, **files):
    pairs = {f"experiments/{name}.py": pair for name, pair in files.items()}
    return AcceptedChange(old, new, pairs, "renamed", WHEN)


CHAIN = [change("A", "B"), change("B", "C"), change("X", "Y")]
SAME = {"A": "ABC", "C": "ABC", "Y": "XY", "Z": "Z"}


@pytest.mark.parametrize("code, same", SAME.items())
def test_what_counts_as_the_same_follows_through_all_changes(code, same):
    assert accepted.same_as(CHAIN, code) == set(same)
    assert accepted.same_as(reversed(CHAIN), code) == set(same)


def sources(**digests):
    return {f"experiments/{name}.py": digest for name, digest in digests.items()}


STEPS = [
    change("1", "2", a=("1", "2")),
    change("2", "3", a=("2", "3"), b=("", "1")),
    change("3", "4", c=("1", "")),
]
EQUALS = {
    "nothing accepted": ([], sources(a="2"), []),
    "one change": (STEPS[:1], sources(a="2"), [sources(a="1")]),
    "back again": (STEPS[:1], sources(a="1"), [sources(a="2")]),
    "another version": (STEPS[:1], sources(a="3"), []),
    "with other files": (STEPS[:1], sources(a="2", z="9"), [sources(a="1", z="9")]),
    "two changes, and a file less": (
        STEPS[:2], sources(a="3", b="1"), [sources(a="2"), sources(a="1")],
    ),
    "a file more": (STEPS[2:], sources(a="1"), [sources(a="1", c="1")]),
    "a circle": ([change("1", "2", a=("1", "2")), change("2", "1", a=("2", "1"))],
                 sources(a="1"), [sources(a="2")]),
}  # fmt: skip


@pytest.mark.parametrize("changes, now, others", EQUALS.values(), ids=EQUALS)
def test_the_sources_of_such_a_code_are_found(changes, now, others):
    assert accepted.equals(changes, now) == others


def test_a_change_comes_back_as_it_was_written(tmp_path):
    accepted.add(tmp_path, STEPS[:1])
    accepted.add(tmp_path, STEPS[1:])
    assert accepted.read(tmp_path) == STEPS
    assert accepted.read(tmp_path / "nowhere") == []


def broken(**fields):
    return {"version": 1, "changes": [{**STEPS[0].to_json(), **fields}]}


BAD = {
    "no JSON": "{",
    "no object": "[]",
    "another version": json.dumps({"version": 2, "changes": []}),
    "no changes": json.dumps({"version": 1}),
    "a field more": json.dumps(broken(who="me")),
    "no reason": json.dumps(broken(why=" ")),
    "a control character": json.dumps(broken(why="a\x1b[2J")),
    "a number": json.dumps(broken(old=5)),
    "no time": json.dumps(broken(when="today")),
    "no pairs": json.dumps(broken(files={"a": "b"})),
    "a pair of numbers": json.dumps(broken(files={"a": [1, 2]})),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, text):
    (tmp_path / accepted.FILE).write_text(text)
    with pytest.raises(UserError, match="restore it from git") as error:
        accepted.read(tmp_path)
    assert "\n" not in str(error.value)
