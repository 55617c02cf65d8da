"""Parquet: values survive a round trip, and columns explain themselves."""

import json
import os
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_rows import DESCRIBED, record, row, rows

from benchpaper import results
from benchpaper.analysis import stats
from benchpaper.results import OBSERVATIONS, TRIALS, InvalidObservation


def observed(**values):
    return results.check_observation(DESCRIBED, {"latency_us": [1.0], "used": "x", **values})


# --- distributions ---------------------------------------------------------------------------

positive = st.floats(min_value=1e-30, max_value=1e30)


@given(st.lists(positive, min_size=1, max_size=300), st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_quantiles_survive_within_a_two_thousandth_and_counts_exactly(samples, q):
    stored = results.distribution(samples)
    assert sum(stored.counts) == len(samples) and min(stored.counts) >= 1
    assert stored.values == sorted(set(stored.values))
    true, kept = stats.quantile(samples, q), stats.quantile(stored.values, q, stored.counts)
    assert kept == pytest.approx(true, rel=1 / 2048 + 1e-6)


@given(st.lists(positive, min_size=1, max_size=results.RAW_BOUND))
@settings(deadline=None)
def test_few_samples_are_kept_as_they_are(samples):
    stored = results.distribution(samples)
    assert np.repeat(stored.values, stored.counts).tolist() == np.sort(np.float32(samples)).tolist()


def test_many_samples_take_little_room_and_negative_ones_are_kept_too():
    samples = np.random.default_rng(1).lognormal(0, 1, 100_000)
    stored = results.distribution(np.concatenate([samples, -samples, [0.0]]))
    assert sum(stored.counts) == 200_001 and len(stored.values) < 40_000
    assert stored.values[0] == pytest.approx(-samples.max(), rel=1 / 2048)


@pytest.mark.parametrize("samples, message", [
    ([], "has no samples"),
    ([1.0, float("nan"), float("inf")], "holds 2 samples that are not finite numbers"),
    ([1e39], "holds 1 samples that are not finite numbers"),
    ([1e39] * 100, "holds 100 samples that are not finite numbers"),
])  # fmt: skip
def test_samples_that_are_no_numbers_are_refused(samples, message):
    with pytest.raises(InvalidObservation, match=f"^{message}"):
        results.distribution(samples)


# --- observations ----------------------------------------------------------------------------


@pytest.mark.parametrize("changes, message", [
    (dict(latency_us=None), 'metric "latency_us" is missing; yield it, or declare it optional'),
    (dict(latency_us=[]), 'metric "latency_us" has no samples'),
    (dict(latency_us=[1, float("nan")]),
     'metric "latency_us" holds 1 samples that are not finite numbers up to 3.4e+38'),
    (dict(latency_us=[2.0, -0.5]), 'metric "latency_us": -0.5 µs is below its minimum 0'),
    (dict(latency_us=["x"]), 'metric "latency_us" must be an array of numbers'),
    (dict(latency_us="5"), 'metric "latency_us" must be an array of numbers'),
    (dict(latency_us={"a": 1}), 'metric "latency_us" must be an array of numbers'),
    (dict(rate=float("inf")), 'metric "rate" must be a finite number, not inf'),
    (dict(rate=[1.0]), 'metric "rate" must be a finite number, not [1.0]'),
    (dict(used=5), 'evidence "used" must be text, not 5'),
    (dict(latency=[1]), ('column "latency" is not declared; did you mean "latency_us"? (there are: '
                        'latency_us, rate, used); declare it or drop it')),
    (dict(block=1), ('column "block" is not declared (there are: latency_us, rate, used); '
                     'declare it or drop it')),
])  # fmt: skip
def test_an_observation_that_breaks_the_schema_names_column_and_rule(changes, message):
    with pytest.raises(InvalidObservation) as refused:
        observed(**changes)
    assert str(refused.value) == message


def test_a_minimum_of_none_allows_any_number_and_an_optional_metric_may_be_absent():
    assert observed(rate=-5).metrics["rate"] == -5.0 and observed().metrics["rate"] is None
    assert observed(rate=np.float32(1.5)).metrics["rate"] == 1.5
    assert observed(latency_us=np.arange(3)).metrics["latency_us"].counts == [1, 1, 1]


# --- writing and reading ---------------------------------------------------------------------


def test_a_block_comes_back_as_it_was_written(tmp_path):
    written = [
        record(position=0),
        record(position=1, state="failed", reason="crashed", observations=[], tools={}),
    ]
    results.write_block(tmp_path, 3, written, DESCRIBED)
    trials = rows(results.block_file(tmp_path, 3, TRIALS))
    for before, after in zip(written, trials):
        before = json.loads(json.dumps(before.to_json()))
        del before["observations"], before["cause"]
        assert after.pop("started").timestamp() == before.pop("started")
        assert after == {"block_seed": None, **before}
    (observation,) = rows(results.block_file(tmp_path, 3, OBSERVATIONS))
    assert observation["latency_us"] == {"values": [1.0, 3.0], "counts": [2, 1]}
    assert (
        observation["used"],
        observation["rate"],
        observation["row"],
        observation["direct"],
    ) == (
        "shm",
        None,
        0,
        True,
    )
    assert results.read(results.block_file(tmp_path, 3, TRIALS))[1] == DESCRIBED


measured = st.fixed_dictionaries({
    "latency_us": st.lists(st.floats(0, 1e20), min_size=1, max_size=100),
    "used": st.text(max_size=20),
    "rate": st.none() | st.floats(-1e300, 1e300),
})  # fmt: skip


@given(st.lists(st.lists(measured, max_size=3), max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_observations_survive_the_round_trip(trials):
    checked = [
        [results.check_observation(DESCRIBED, observation).to_json() for observation in trial]
        for trial in trials
    ]
    with tempfile.TemporaryDirectory() as folder:
        results.write_block(
            folder,
            0,
            [record(position=n, observations=o) for n, o in enumerate(checked)],
            DESCRIBED,
        )
        stored_rows = rows(results.block_file(folder, 0, OBSERVATIONS))
    assert [(each["position"], each["row"]) for each in stored_rows] == [
        (n, k) for n, o in enumerate(checked) for k in range(len(o))
    ]
    for stored, observation in zip(
        stored_rows, [observation for trial in checked for observation in trial]
    ):
        assert {name: stored[name] for name in observation} == observation


@pytest.mark.parametrize("table", ["observations", "trials"])
def test_every_column_of_a_file_has_type_unit_and_meaning(tmp_path, table):
    results.write(tmp_path / "x.parquet", [], DESCRIBED, table)
    schema = pq.read_schema(tmp_path / "x.parquet")
    columns = {column.name: column for column in results.columns(DESCRIBED, table)}
    assert schema.names == list(columns)
    for field in schema:
        described = {key.decode(): value.decode() for key, value in field.metadata.items()}
        assert (
            described["unit"] == columns[field.name].unit
            and described["meaning"] == columns[field.name].meaning
        )
    framework = [name for name in columns if name not in ("share", "direct", "rate")]
    assert all(columns[name].meaning for name in framework)
    assert columns["size_bytes"].unit == "B" and (
        table == "trials" or columns["latency_us"].unit == "µs"
    )
    assert schema.metadata[b"benchpaper.schema"] == b"1"


def test_nothing_is_left_beside_a_written_file(tmp_path):
    results.write_block(tmp_path, 0, [record()], DESCRIBED)
    assert sorted(p.name for p in (tmp_path / "blocks").iterdir()) == [
        "000.observations.parquet",
        "000.trials.parquet",
    ]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        results.write_block(tmp_path / name, 0, [record()], DESCRIBED)
    assert (
        len(
            {
                results.file_digest(results.block_file(tmp_path / name, 0, TRIALS))
                for name in ("a", "b")
            }
        )
        == 1
    )


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    results.write_block(tmp_path, 0, [record()], DESCRIBED)
    path = results.block_file(tmp_path, 0, TRIALS)
    before = path.read_bytes()
    with pytest.raises(pa.ArrowException):
        results.write(path, [row(seed="not a number")], DESCRIBED, "trials")
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 2


def test_a_full_disk_leaves_the_old_file_and_the_next_write_succeeds_when_there_is_room(
    small_disk, tmp_path
):
    folder = small_disk(tmp_path / "small", 512)
    path = folder / "blocks" / "000.trials.parquet"
    results.write(path, [row()], DESCRIBED, "trials")
    before = path.read_bytes()
    (folder / "ballast").write_bytes(os.urandom(512 * 1024 - len(before) - 32_000))
    big = [row(position=n, reason=os.urandom(2000).hex()) for n in range(40)]
    with pytest.raises(OSError, match="No space left"):
        results.write(path, big, DESCRIBED, "trials")
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [path.name]
    (folder / "ballast").unlink()
    results.write(path, big, DESCRIBED, "trials")
    assert len(rows(path)) == 40
