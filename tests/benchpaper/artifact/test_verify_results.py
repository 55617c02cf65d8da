"""Results that contradict themselves are found, although all digests are right."""

import pytest
from changed_archives import (
    OBSERVATIONS,
    RESULTS,
    TRIALS,
    needs_latex,
    project_of,
    with_table,
)

from benchpaper.artifact.bundle import result_check
from benchpaper.core.errors import UserError

pytestmark = needs_latex


def check(files, folder):
    """Check the results of the small project, and no others."""
    project = project_of(files, folder / "project")
    return result_check.check(project, [f"{RESULTS}/{kind}" for kind in (TRIALS, OBSERVATIONS)])


def test_results_as_they_were_measured_agree(small_files, tmp_path):
    line, _ = check(small_files, tmp_path)
    assert line.startswith("2 Parquet files have the schema and agree with each other")


def every(column, value):
    """A change that gives all rows the same value."""

    def change(rows):
        for row in rows:
            row[column] = value

    return change


def first(column, value):
    """A change of the first measured row."""

    def change(rows):
        row = next(row for row in rows if row.get("state", "measured") == "measured")
        row[column] = value(row[column]) if callable(value) else value

    return change


def untried(attempts):
    """A change of the first measured trial into one that was not tried again."""

    def change(rows):
        row = next(row for row in rows if row["state"] == "measured")
        row |= {"state": "failed", "reason": "not tried again: x", "attempts": attempts or []}

    return change


def without_block(rows):
    last = max(row["block"] for row in rows)
    return [row for row in rows if row["block"] < last]


def swapped(rows):
    rows[0]["cell"], rows[1]["cell"] = rows[1]["cell"], rows[0]["cell"]


def described(old, new):
    """A change of the description of the experiment in the file's metadata."""

    def change(data):
        assert old in data
        return data.replace(old, new)

    return change


def unchanged(rows):
    pass


TRIAL_FORGERIES = {
    "another site": (every("site", "moon"), 'of site "moon", but it lies at "local"'),
    "another scale": (every("scale", "full"), 'of scale "full", but it lies at "smoke"'),
    "another experiment": (every("experiment", "toy/x"), 'of experiment "toy/x"'),
    "two sites": (first("site", "moon"), 'site is both "local" and "moon"'),
    "two versions of the code": (first("code_digest", "0" * 64), "code_digest is both"),
    "a block is gone": (without_block, "not those of the plan that they name"),
    "a trial is gone": (lambda rows: rows[1:], "are not numbered from 0"),
    "a trial was moved": (swapped, "not those of the plan that they name"),
    "another seed": (first("seed", 7), "not those of the plan that they name"),
    "another plan": (every("plan_digest", "0" * 64), "not those of the plan that they name"),
    "another level": (first("target", "pigeon"), "has other levels"),
    "a state": (first("state", "failed"), "is failed, and gives the reason"),
    "an unknown state": (first("state", "fine"), 'has the state "fine"'),
    "a reason": (first("reason", "no"), 'is measured, and gives the reason "no"'),
    "no attempt": (first("attempts", []), "is measured without an attempt"),
    "not tried, and failed nowhere": (
        untried(None),
        "is not tried again, but no block holds an attempt",
    ),
    "not tried, and tried": (
        untried([dict(started=0.0, seconds=0.0, outcome="failed", message="")]),
        "is not tried again, but it has an attempt",
    ),
    "a time": (first("seconds", 99.0), "and its last attempt have different times"),
}


OBSERVATION_FORGERIES = {
    "one is gone": (lambda rows: rows[1:], "is measured in one of its tables only"),
    "one of another block": (first("block", 77), "is measured in one of its tables only"),
    "a number twice": (first("row", 3), "are not numbered from 0"),
    "a count of none": (
        first("latency_us", lambda samples: {**samples, "counts": [0] * len(samples["counts"])}),
        "a distribution with a count below 1",
    ),
    "unordered samples": (
        first("latency_us", lambda samples: {**samples, "values": samples["values"][::-1]}),
        "a distribution whose values are not finite and ascending",
    ),
    "no samples": (first("latency_us", {"values": [], "counts": []}), "without samples"),
    "a count less": (
        first("latency_us", lambda samples: {**samples, "counts": samples["counts"][1:]}),
        "without samples, or with a count missing",
    ),
    "no value": (first("latency_us", None), "has no value in an observation"),
}


@pytest.mark.parametrize(
    "table, name",
    [*((TRIALS, name) for name in TRIAL_FORGERIES),
     *((OBSERVATIONS, name) for name in OBSERVATION_FORGERIES)],
)  # fmt: skip
def test_tables_that_contradict_themselves_or_each_other_are_found(
    small_files, tmp_path, table, name
):
    change, words = {TRIALS: TRIAL_FORGERIES, OBSERVATIONS: OBSERVATION_FORGERIES}[table][name]
    files = with_table(small_files, table, change)
    with pytest.raises(UserError) as error:
        check(files, tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "change, words",
    [
        (described(b'"lower"', b'"higher"'), "describe two different experiments"),
        (described(b'"title": "', b'"title": "x", "title": "'), 'has the key "title" twice'),
        (described(b"toy/pipe_cost", b"toy/pipe_price"), "two different experiments"),
        (described(b'"minimum": 0.0', b'"minimum": NaN'), "NaN is no number"),
    ],
)
def test_a_description_that_contradicts_the_other_is_found(small_files, tmp_path, change, words):
    files = with_table(small_files, TRIALS, unchanged, change)
    with pytest.raises(UserError) as error:
        check(files, tmp_path)
    assert words in str(error.value)
