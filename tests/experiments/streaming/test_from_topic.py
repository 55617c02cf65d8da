"""The pipelines that are used from Python: their windows, their brokers, and what Spark drops."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from benchpaper.design.spec import make_cell
from experiments.streaming import brokers, from_topic, workload
from experiments.streaming.pipeline import experiment as pipeline
from experiments.streaming.stall import experiment as stall
from experiments.systems import spark

BASE = 10**12
LOAD = workload.Workload(6_000, 300, late_every=100)
WORDS = dict(
    servers="", topic="t", group="g", checkpoints="", stop="1", format="binary",
    window_ms=LOAD.window_ms, delay_ms=LOAD.delay_ms, checkpoint_ms=500,
)  # fmt: skip


def job(**words):
    return from_topic.Job([f"{key}={value}" for key, value in {**WORDS, **words}.items()])


@pytest.fixture(scope="module")
def events():
    return LOAD.frame(BASE)


@pytest.fixture(scope="module")
def rows(events):
    """What plain loops write, one for each partition."""
    written = []
    for _, part in events.groupby("partition"):
        windows, closed = from_topic.Windows(job()), []
        for offset, event in enumerate(part[["key", "time", "value"]].itertuples(index=False)):
            closed += windows.add(offset, tuple(event))
            assert all(resume <= offset + 1 for _, _, resume in closed)
        closed += windows.finish(len(part))
        assert closed[-1][2] == len(part)
        written += [row for _, rows, _ in closed for row in rows]
    return pd.DataFrame(written, columns=from_topic.COLUMNS)


def test_the_windows_count_each_event_once_and_the_late_ones_apart(events, rows):
    outcome = workload.outcome(events, rows)
    assert outcome.exact and outcome.late == events["late"].sum() > 20


def test_what_a_loop_has_not_written_is_read_again(events):
    """Reading may begin at `resume`: every later window is open, and every earlier one written."""
    part = events[events["partition"] == 0]
    windows = from_topic.Windows(job())
    for offset, event in enumerate(part[["key", "time", "value"]].itertuples(index=False)):
        for window, _, resume in windows.add(offset, tuple(event)):
            rest = part.iloc[resume:]
            later = part[(part["window"] > window) & ~part["late"]]
            assert later["value"].isin(rest["value"]).all()


def test_dropped_events_must_be_late_ones(events, rows):
    kept = rows[~rows["late"]]  # an engine that drops late events, and says nothing of them
    outcome = workload.outcome(events, workload.with_dropped(events, kept))
    assert outcome.exact and outcome.late == events["late"].sum()
    lacking = kept.assign(count=kept["count"] - (kept.index == kept.index[0]))
    assert not workload.outcome(events, workload.with_dropped(events, lacking)).exact
    assert not workload.outcome(events, workload.with_dropped(events, kept.iloc[1:])).exact


def test_a_window_that_is_written_again_counts_as_it_was_last(rows):
    first = rows.head(5).assign(count=1)
    assert workload.latest(pd.concat([first, rows[~rows["late"]]])).equals(rows[~rows["late"]])


def test_a_message_in_either_format_is_the_same():
    event = (63, BASE, 7)
    text = json.dumps(dict(zip(("key", "time", "value"), event))).encode()
    assert job().parse(from_topic.BINARY.pack(*event)) == job(format="json").parse(text) == event


def test_a_job_that_has_not_read_all_is_an_error():
    with pytest.raises(RuntimeError, match="0 of 1 messages were read"):
        job().end()


@pytest.mark.parametrize("broker", [brokers.TANSU, brokers.JETSTREAM])
def test_other_brokers_give_the_same_answer(site, broker, left_behind):
    site.counts = SimpleNamespace(events=15_000, long=0)
    cell = make_cell(dict(engine="python", broker=broker, format="binary", course="drain"))
    with brokers.servers(site, broker) as (server, store):
        result = pipeline.measured(cell, site, server, store)  # checks itself
    assert result["late_events"] > 0 and result["through"].startswith(("Tansu", "NATS"))
    assert "processes" not in left_behind()


def test_a_stall_is_over_with_the_last_slow_window():
    samples = [(1_000, 300.0), (2_000, 400.0), (13_000, 9_000.0), (14_000, 701.0), (15_000, 700.0)]
    assert stall.recovered(samples, 12_000) == 2.0  # twice the median of 350 is still usual
    assert stall.recovered(samples[:2], 2_500) == 0.0
    with pytest.raises(RuntimeError, match="no window was written before the stall"):
        stall.recovered(samples[2:], 12_000)


@pytest.mark.parametrize("harm, reason", [
    ("nothing", ""), ("no folder", "names no such environment"),
    ("no jar", "its folder jars has no spark-token-provider-kafka"),
    ("old java", "the Java on PATH is 11, and must be 17 or 21"),
    ("no java", "the Java on PATH is missing"),
])  # fmt: skip
def test_spark_says_what_it_lacks(tmp_path, monkeypatch, harm, reason):
    def program(path, text):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    home = tmp_path / "spark"
    (home / "jars").mkdir(parents=True)
    for jar in spark.JARS:
        if harm != "no jar" or "token" not in jar:
            (home / "jars" / f"{jar}-1.jar").touch()
    program(home / "bin" / "python", "echo 4.0.0")
    version = "11.0.2" if harm == "old java" else "17.0.1"
    if harm != "no java":
        program(tmp_path / "path" / "java", f"echo 'openjdk version \"{version}\"' >&2")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("BENCHPAPER_SPARK", str(tmp_path if harm == "no folder" else home))
    assert reason in spark.missing() and bool(spark.missing()) == bool(reason)
