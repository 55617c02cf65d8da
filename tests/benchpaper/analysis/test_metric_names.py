"""Whatever takes a metric refuses an unknown one, also for cells that have no value anyway."""

import pytest

from benchpaper.core.errors import UserError

A, B = dict(way="a", size=1), dict(way="b", size=1)
CELL = "way=a size=1"
CALLS = {
    "estimate": lambda results, name: results.estimate(name, **A),
    "ratio": lambda results, name: results.ratio(name, of=A, to=B),
    "ratio_of": lambda results, name: results.ratio_of(name, [CELL, "way=b size=1"]),
    "pooled_share": lambda results, name: results.pooled_share(name, "rate", **A),
    "pooled_share's tries": lambda results, name: results.pooled_share("rate", name, **A),
    "rank_agreement's first": lambda results, name: results.rank_agreement(name, "rate"),
    "rank_agreement's second": lambda results, name: results.rank_agreement("rate", name),
    "combined": lambda results, name: results.combined(name, [CELL], sum),
    "noise_floor": lambda results, name: results.noise_floor(name),
    "samples": lambda results, name: results.samples(name, CELL),
    "block_df": lambda results, name: results.block_df(name, CELL),
    "summary": lambda results, name: results.summary(name),
}
VALUES = {
    "measured": [10.0] * 6,
    "failed": [None] * 6,
    "not testable": "needs rdma",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_an_unknown_metric_is_one_line_with_the_nearest_name(known, call, values):
    results = known.write("quick", {("a", 1): values, ("b", 1): [11.0] * 6}, twin=[10.0] * 6)
    with pytest.raises(UserError) as refused:
        CALLS[call](results, "latency")
    expected = 'toy/known: metric "latency" not found; did you mean "latency_us"?'
    assert str(refused.value).startswith(expected)


def test_samples_of_a_metric_that_keeps_none_are_refused(known):
    results = known.write("quick", {("a", 1): [10.0] * 6})
    with pytest.raises(UserError, match='"latency_us" keeps one value per trial; declare it with'):
        results.samples("latency_us", CELL)
