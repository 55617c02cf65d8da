"""The streaming pipelines, run small: right answers and exact bounds."""

import importlib
from array import array

import numpy as np
import pytest
from busy_machine import tried_again
from pipeline_runs import BROKERS, held

from benchpaper.design.spec import make_cell
from experiments.streaming import aggregation, answers, pipelines
from experiments.streaming.backpressure import experiment as backpressure
from experiments.streaming.boundaries import experiment as boundaries
from experiments.streaming.engines import experiment as engines

# ---- answers ----


def steps_one_by_one(x, count):
    for _ in range(count):
        x = (x * answers.A + answers.C) % answers.MODULUS
    return x


@pytest.mark.parametrize("events, steps", [(1, 1), (10, 1), (101, 2), (1000, 7)])
def test_the_closed_form_is_what_counting_gives(events, steps):
    kept = [
        value for value in (steps_one_by_one(x, steps) for x in range(events)) if value % 2 == 0
    ]
    assert answers.boundaries(events, steps) == (len(kept), sum(kept) % answers.MODULUS)


@pytest.mark.parametrize("change", [dict(count=49), dict(sum=0), dict(events=102)])
def test_a_wrong_answer_is_rejected(change):
    count, total = answers.boundaries(100, 3)
    result = dict(events=100, count=count, sum=pipelines.signed(total))
    boundaries.check(result, 3)
    with pytest.raises(pipelines.WrongAnswer, match="and must be"):
        boundaries.check({**result, **change}, 3)


def test_the_known_aggregation_is_what_a_plain_loop_gives():
    events, window, totals = answers.events(2_500, 7), 1_000, {}
    for number, event in enumerate(events.tolist()):
        place = number // window, event & 255
        count, total = totals.get(place, (0, 0))
        totals[place] = count + 1, total + (event >> 8)
    checksum = (
        sum(answers.mixed(*place, *counted) for place, counted in totals.items()) % answers.MODULUS
    )
    assert answers.aggregation(events, window) == (len(totals), checksum)


@pytest.mark.parametrize("first, length", [(0, 100), (4000, 300), (8192, 9000)])
def test_the_known_billion_is_what_counting_gives(first, length):
    counts, totals = np.zeros(64, int), np.zeros(64, int)
    for number in range(first, first + length):
        line = number % 4096
        counts[line * 31 % 64] += 1
        totals[line * 31 % 64] += line * 7919 % 100_000
    known = answers.billion(first, length)
    assert (known[0] == counts).all() and (known[1] == totals).all()


# ---- pipelines ----


@pytest.mark.parametrize(
    "engine, stages, between, batch",
    [("pekko", 1, 0, 1), ("akka", 2, 1, 1), ("pekko", 4, 3, 1), ("pekko", 2, 1, 64)],
)
def test_every_shape_gives_the_known_answer(site, engine, stages, between, batch):
    cell = make_cell(
        dict(
            engine=engine, stages=stages, boundaries=between, work=3, batch=batch, settings="tuned"
        )
    )
    (result,) = boundaries.trial(cell, site)  # checks itself
    assert result["events_per_s"] > 0


@pytest.mark.parametrize(
    "cell, room",
    [
        (held("none", 0, 0, 16), 1), (held("none", 0, 2, 16), 33),
        (held("backpressure", 16, 1, 16), 33),
        (held("drop_head", 16, 1, 16), 33), (held("drop_tail", 1024, 2, 16), 1057),
        (held("drop_new", 1024, 1, 64), 1089),
        (held("fail", 16, 1, 16), 33),
    ],
    ids=lambda value: getattr(value, "id", value),
)  # fmt: skip
@tried_again(
    5, (AssertionError, pipelines.WrongAnswer)
)  # 60 ms without an element may be a thread that is held up
def test_what_is_on_its_way_is_what_the_buffers_hold(site, cell, room):
    (result,) = backpressure.trial(cell, site)
    assert result["in_flight"] == result["predicted_in_flight"] == room


@pytest.mark.parametrize(
    "change", [dict(gaps=2), dict(sum=0), dict(last=3), dict(failed=1), dict(disorder=1)]
)
def test_other_elements_than_the_strategy_keeps_are_an_error(change):
    cell = held("drop_head", 16, 1, 16)
    kept = [*range(24), *range(984, 1000)]
    result = dict(failed=0, disorder=0, gaps=1, last=999, sum=sum(kept), received=40, offered=1000)
    backpressure.check(cell, result)
    with pytest.raises(pipelines.WrongAnswer, match="drop_head"):
        backpressure.check(cell, {**result, **change})


@pytest.mark.parametrize("engine", [*engines.JVM, *engines.PYTHON])
def test_every_engine_gives_the_known_answer(site, engine, left_behind):
    (result,) = engines.trial(make_cell(dict(engine=engine)), site)
    assert result["events_per_s"] > 0 and result["lines_of_code"] > 5 and len(result["latency_us"])
    if engine in BROKERS:
        assert "processes" not in left_behind()


@pytest.mark.parametrize("engine", ["generator", "bytewax", "reactivex", "polars"])
@pytest.mark.parametrize("count", [3_000, 3_001])
def test_the_last_window_may_be_full_or_not(engine, count):
    events = answers.events(count, 64)
    job = aggregation.Job(array("q", events.tobytes()), 1_000)
    importlib.import_module(f"experiments.streaming.aggregation.{engine}").run(job)
    assert (job.rows, job.checksum) == answers.aggregation(events, 1_000)


def test_an_aggregation_that_misses_a_result_is_rejected():
    events = answers.events(1_000, 8)
    rows, checksum = answers.aggregation(events, engines.WINDOW)
    with pytest.raises(pipelines.WrongAnswer, match="2 passes"):
        engines.check(dict(passes=2, rows=2 * rows - 1, checksum=2 * checksum), events)
