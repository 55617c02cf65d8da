"""A trial's record: the same in memory, in the journal, and in the table of trials."""

import json
from dataclasses import FrozenInstanceError, fields

import pytest
from checkout import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from result_rows import record, row

from benchpaper import results
from benchpaper.core.project import Project
from benchpaper.design.checks import RESERVED
from benchpaper.results.distribution import Distribution
from benchpaper.results.records import Disturbances, Observation, Origin, TrialRecord

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
levels = st.dictionaries(
    st.sampled_from(["way", "size", "origin", "disturbances", "metrics"]),
    st.text(max_size=5) | st.booleans() | numbers,
)
distributions = st.lists(numbers, min_size=1, max_size=3).map(
    lambda values: Distribution(values, [1] * len(values))
)
observations = st.builds(
    Observation,
    metrics=st.dictionaries(st.sampled_from("abc"), st.none() | numbers | distributions),
    evidence=st.dictionaries(st.sampled_from("xyz"), st.text(max_size=5)),
)


@given(levels, st.lists(observations, max_size=3).map(tuple))
@settings(max_examples=200, deadline=None)
def test_a_record_survives_the_journal_whatever_its_factors_are_called(levels, observed):
    original = TrialRecord(
        **{**vars(record()), "levels": levels, "observations": observed},
    )
    line = json.loads(json.dumps(original.to_json()))
    assert TrialRecord.from_json(line) == original
    assert {name: line[name] for name in levels} == levels


def test_the_journal_holds_the_columns_flat_and_in_order():
    flat = row()
    assert json.loads(json.dumps(record().to_json())) == {**flat, "cause": ""}
    assert list(record().to_json())[:8] == list(flat)[:8]


def test_no_part_of_a_record_can_be_changed():
    with pytest.raises(FrozenInstanceError):
        record().state = "measured"


@pytest.mark.parametrize("lost", sorted(set(row()) - {"swapped_mb", "throttled_s", "overheated",
    "way", "size_bytes", "share", "direct"}))  # fmt: skip
def test_a_record_that_lacks_a_column_is_refused(lost):
    with pytest.raises((KeyError, TypeError)):
        TrialRecord.from_json({key: value for key, value in row().items() if key != lost})


def test_no_factor_can_take_the_name_of_a_column_of_the_record():
    own = {field.name for part in (TrialRecord, Origin, Disturbances) for field in fields(part)}
    assert own - {"origin", "disturbances"} <= RESERVED


def test_the_authors_trials_are_the_same_as_records():
    folder = Project(ROOT).results("local", "reference") / "training_io" / "tail"
    table, described = results.read(folder / results.TRIALS)
    factors = [factor["name"] for factor in described["factors"]]
    for trial in table.to_pylist(maps_as_pydicts="strict"):
        made = TrialRecord.from_json({**trial, "observations": []})
        assert list(made.levels) == factors
        back = json.loads(json.dumps({**made.to_json(), "started": None}))
        assert {key: back[key] for key in trial} == {**trial, "started": None}
