"""Patterns of streams: what each is documented to keep, it must keep."""

import pytest

from benchpaper.design.spec import make_cell
from experiments.streaming import pipelines
from experiments.streaming.patterns import experiment as patterns


def test_a_pattern_keeps_all_and_the_order(site):
    site.counts.events = 3_000
    (result,) = patterns.trial(make_cell(dict(pattern="mapAsync")), site)  # checks itself
    assert result["lost_share"] == result["disorder_share"] == 0
    assert len(result["latency_us"]) == 3_000


@pytest.mark.parametrize("pattern, received, disorder, reason", [
    ("fused", 99, 0, "fused lost 1 of 100"), ("batch", 101, 0, "batch lost -1"),
    ("mapAsync", 100, 1, "mapAsync reordered 1"), ("conflate", 10, 0, ""),
    ("merge hub", 100, 9, ""),
    ("broadcast hub", 100, 1, "broadcast hub reordered 1"), ("restart", 96, 0, ""),
])  # fmt: skip
def test_what_a_pattern_may_not_do_is_an_error(pattern, received, disorder, reason):
    result = dict(offered=100, received=received, disorder=disorder)
    if not reason:
        patterns.check(pattern, result)
        return
    with pytest.raises(pipelines.WrongAnswer, match=reason):
        patterns.check(pattern, result)


def test_a_restarted_flow_loses_only_what_failed(site):
    site.counts.events = 2_000
    (result,) = patterns.trial(make_cell(dict(pattern="restart")), site)
    assert round(result["lost_share"] * 20) == 4
