"""Which observations of a trial the results can tell apart."""

import numpy as np
import pytest
from result_rows import DESCRIBED, row

from benchpaper import results
from benchpaper.results.records import TrialRecord

INNER = [
    {"name": "second", "levels": [0, 1, 2], "unit": "s", "meaning": "since the start"},
    {"name": "op", "levels": ["get", "put"], "unit": "", "meaning": ""},
]
RATE = {**DESCRIBED["metrics"][1]}
TOTAL = {**RATE, "name": "total"}
WITHIN = {**DESCRIBED, "within": INNER, "metrics": [RATE, TOTAL], "evidence": []}
PLAIN = {**WITHIN, "within": [], "metrics": [{**RATE, "optional": False}, TOTAL]}


def refusal(described, *observations):
    """Return why a trial that yields these is refused; "" if it is not."""
    rows = results.Rows(described)
    try:
        for observation in observations:
            rows.add(observation)
            results.check_observation(described, observation)
    except results.InvalidObservation as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "described, observations",
    [
        (PLAIN, [dict(rate=1.0)]),
        (PLAIN, [dict(rate=1.0, total=1.0)]),
        ({**WITHIN, "within": []}, [dict(rate=1.0), dict(total=2.0), dict(total=3.0)]),
        (WITHIN, [dict(second=0, op="get", rate=1.0), dict(second=1, op="get", rate=1.0)]),
        (WITHIN, [dict(second=0, op="get", rate=1.0), dict(second=0, op="put", rate=1.0)]),
        (WITHIN, [dict(second=0, op="get", rate=1.0), dict(second=0, op="get", total=1.0)]),
        (WITHIN, [dict(second=np.int64(2), op="get", rate=1.0), dict(total=9.0)]),
        (WITHIN, [dict(total=9.0)]),
    ],
)
def test_observations_that_differ_are_taken(described, observations):
    assert refusal(described, *observations) == ""


@pytest.mark.parametrize(
    "described, observations, message",
    [
        (
            PLAIN,
            [dict(rate=1.0), dict(rate=2.0)],
            'the trial yields "rate" twice, and nothing tells the values apart; yield one in all, '
            'keep "all samples" of it, or declare what they differ in: '
            "Experiment(within=[Factor(...)])",
        ),
        (
            {**PLAIN, "within": INNER},
            [dict(rate=1.0), dict(rate=2.0)],
            'the trial yields "rate" twice, and nothing tells the values apart; yield one in all, '
            "or give a level of second and op with each",
        ),
        (
            WITHIN,
            [dict(second=1, op="get", rate=1.0), dict(second=1, op="get", rate=1.0)],
            'the trial yields "rate" twice at second=1, op=get; yield each level once',
        ),
        (
            WITHIN,
            [dict(second=1, op="get", rate=1.0), dict(rate=1.0)],
            'the trial yields "rate" both with and without second and op; declare a second metric '
            "for the whole trial",
        ),
        (
            WITHIN,
            [dict(second=1, rate=1.0)],
            "an observation gives second=1, but no op; give a level of each factor in within, "
            "or of none if it belongs to the whole trial",
        ),
        (
            WITHIN,
            [dict(second=7, op="get", rate=1.0)],
            "second=7 is not a level of within (there are: 0, 1, 2); "
            "declare it: Factor('second', [...])",
        ),
        (
            WITHIN,
            [dict(second=True, op="get", rate=1.0)],
            "second=True is not a level of within (there are: 0, 1, 2); "
            "declare it: Factor('second', [...])",
        ),
        (
            WITHIN,
            [dict(second=1, op="gte", rate=1.0)],
            "op='gte' is not a level of within; did you mean \"get\"? (there are: get, put); "
            "declare it: Factor('op', [...])",
        ),
        (
            PLAIN,
            [dict(second=1, rate=1.0)],
            'column "second" is not declared (there are: rate, total); declare it or drop it',
        ),
        (PLAIN, [[1.0]], "a trial yields dicts of metrics, not list"),
    ],
)
def test_observations_that_nothing_tells_apart_are_refused_in_one_line(
    described, observations, message
):
    assert refusal(described, *observations) == message


def test_levels_within_survive_the_journal_and_the_tables(tmp_path):
    observations = [
        dict(second=0, op="get", rate=1.0),
        dict(second=2, op="put", rate=None),
        dict(total=5.0),
    ]
    plain = [results.check_observation(WITHIN, o).to_json() for o in observations]
    record = TrialRecord.from_json(row(observations=plain))
    assert record.observations[0].within == {"second": 0, "op": "get"}
    assert TrialRecord.from_json(record.to_json()) == record
    results.write_block(tmp_path, 0, [record], WITHIN)
    results.collect(tmp_path, 1)
    files = [tmp_path / kind for kind in (results.OBSERVATIONS, results.TRIALS)]
    table, described = results.read(files[0])
    assert [field.name for field in table.schema][8:12] == ["row", "second", "op", "rate"]
    assert table.schema.field("second").metadata == {b"unit": b"s", b"meaning": b"since the start"}
    assert table.column("second").to_pylist() == [0, 2, None]
    assert described["within"] == INNER
    assert table.schema.metadata[b"benchpaper.schema"] == b"2"
    again = results.records_of(files, 0)
    assert [o.within for o in again[0].observations] == [o.within for o in record.observations]
    assert again[0].observations == record.observations
