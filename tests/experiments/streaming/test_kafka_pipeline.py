"""The pipeline from a topic to Parquet, with a real broker and a real store: small, and exact."""

import dataclasses
from types import SimpleNamespace

import pandas as pd
import pytest

from benchpaper.design.spec import make_cell
from benchpaper.hosts.local import LocalHost
from experiments.streaming import topic, workload
from experiments.streaming.delivery import experiment as delivery
from experiments.streaming.pipeline import experiment as pipeline

COUNTS = dict(events=12_000, long=12_000, rate=500, seconds=4)


@pytest.fixture(scope="module")
def place(programs, tmp_path_factory):
    """A site with a broker and a store that run as long as this module's tests."""
    host = LocalHost(folder=tmp_path_factory.mktemp("topic"))
    site = SimpleNamespace(
        client=host, server=host, programs=programs, counts=SimpleNamespace(**COUNTS), seed=7
    )
    with topic.servers(site) as (broker, store):
        yield site, broker, store


# ---- what is right ----

LOAD = workload.Workload(3_000, 300, late_every=100, twice_every=50, poison_every=70)


def rows_of(events, late):
    """The rows of an engine that has counted all events once, and `late` ones apart."""
    counted = events[~late]
    rows = counted.groupby(["window", "key"])["value"].agg(["size", "sum"]).reset_index()
    rows = rows.rename(columns={"size": "count"}).assign(late=False)
    apart = events[late][["window", "key", "value"]].rename(columns={"value": "sum"})
    return pd.concat([rows, apart.assign(count=1, late=True)], ignore_index=True)


@pytest.fixture
def once():
    events = dataclasses.replace(LOAD, twice_every=0).frame(10**12)
    return events, rows_of(events, events["late"])


def test_an_engine_that_counts_each_event_once_is_exact(once):
    events, rows = once
    outcome = workload.outcome(events, rows)
    assert outcome.exact and outcome.late == events["late"].sum() > 20
    in_windows = rows_of(events, events["late"] & (events["value"] % 2 == 0))
    assert workload.outcome(events, in_windows).exact  # a watermark behind takes late ones in


@pytest.mark.parametrize("harm, wrong", [
    (lambda rows: rows.iloc[1:], dict(lost=True)),
    (lambda rows: pd.concat([rows, rows.iloc[:1]]), dict(duplicated=True)),
    (lambda rows: rows.assign(sum=rows["sum"] + (rows.index == 0)), dict(altered=True)),
    (lambda rows: rows.assign(late=True), dict(wrong_late=True)),
    (lambda rows: rows.iloc[:0], dict(lost=True)),
])  # fmt: skip
def test_a_lost_doubled_or_changed_event_is_seen(once, harm, wrong):
    events, rows = once
    outcome = workload.outcome(events, harm(rows))
    assert not outcome.exact
    assert {
        name for name in ("lost", "duplicated", "altered", "wrong_late") if getattr(outcome, name)
    } == set(wrong)


def test_events_are_late_by_the_watermark_of_their_partition():
    """Read one by one, in a way that shares nothing with the frame."""
    events = LOAD.frame(10**12)
    newest = {}
    for event in events.itertuples():
        before = newest.get(event.partition, 0)
        assert event.late == (event.window + LOAD.window_ms <= before - LOAD.delay_ms)
        newest[event.partition] = max(before, event.time)
    assert sum(LOAD.stops()) == 3_000 + 3_000 // 50 and events["again"].sum() > 0


# ---- pipelines ----


@pytest.mark.parametrize(
    "engine, form",
    [("reactor", "binary"), ("pekko", "json"), ("flink", "binary"), ("bytewax", "json")],
)
def test_every_event_counts_once(place, engine, form):
    cell = make_cell(dict(engine=engine, broker="kafka", format=form, course="drain"))
    if engine == "bytewax":
        pytest.importorskip("bytewax", reason="has no wheel for this Python")
    result = pipeline.measured(cell, *place)  # checks itself
    assert result["events_k_s"] > 0 and result["stored_bytes_per_event"] > 0
    assert result["late_events"] > 0 or engine in ("flink", "bytewax")


@pytest.mark.parametrize("engine, setting, fault", [
    ("flink", "exactly", delivery.CONSUMER), ("loop", "least", delivery.BROKER),
    ("pekko", "exactly", delivery.REBALANCE), ("rxjava", "exactly", delivery.BAD),
])  # fmt: skip
def test_a_fault_leaves_what_the_setting_promises(place, engine, setting, fault):
    """Flink's source ended only if it had never been restored from a checkpoint (FLINK-31006)."""
    result = delivery.measured(engine, setting, fault, *place)
    assert result["lost"] == result["wrong"] == 0
    sent_twice = result["sent_twice"]  # no setting knows that two messages are one event
    assert sent_twice == (20 if fault == delivery.BAD else 0)
    assert result["duplicated"] == sent_twice or setting == "least"
    assert result["starts"] >= 1 + (fault == delivery.CONSUMER)


@pytest.mark.parametrize("engine", ["loop", "flink"])
def test_each_engine_has_the_faults_that_it_can_have(engine):
    every = delivery.cases(engine, len(delivery.CASES))
    assert every[0] == ("exactly", delivery.CONSUMER)
    assert (delivery.REBALANCE in {fault for _, fault in every}) == (engine != "flink")
    declared = {factor.name: set(factor.levels) for factor in delivery.experiment.within}
    assert {fault for _, fault in delivery.CASES} == declared["fault"]
    assert {setting for setting, _ in every} == declared["delivery"]
