"""Levels through drift: the interval, and the error rates of the rule that rests on it."""

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchpaper.analysis import stats
from benchpaper.analysis.drifting import drift, through_drift
from benchpaper.analysis.stats import PointEstimate
from benchpaper.analysis.verdicts import CONTRADICTED, REPRODUCED, decide

LINE = np.linspace(-0.5, 0.5, 9)


# --- the interval ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values, change",
    [
        (LINE, 1.0),
        (-3 * LINE, -3.0),
        ([2.0] * 9, 0.0),
        (np.where(np.arange(9) == 4, 50.0, LINE), 1.0),  # an outlier does not move the line
        ([1, 2, 3, 4, 5, 4, 3, 2, 1], 0.0),  # there and back
    ],
)
def test_drift_is_the_change_of_a_line_through_the_blocks(values, change):
    assert drift(values) == pytest.approx(change)


def test_the_interval_reaches_as_far_as_half_of_the_drift():
    for values in (np.exp(0.2 * LINE), np.exp(-0.2 * LINE)):
        level = stats.level(values)
        through = through_drift(level, values)
        assert through.estimate == level.estimate and through.n == 9
        assert [log(through.low), log(through.high)] == pytest.approx(
            [log(level.low) - 0.1, log(level.high) + 0.1]
        )
        assert through.low <= values.min() and through.high >= values.max()
    shares = LINE - LINE.min()  # a value of 0 has no log
    level = stats.median_interval(shares)
    through = through_drift(level, shares)
    assert [through.low, through.high] == pytest.approx([level.low - 0.5, level.high + 0.5])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(min_value=1e-3, max_value=1e3), min_size=5, max_size=30))
def test_a_level_through_its_drift_holds_the_level_and_knows_no_direction(values):
    level = stats.level(values)
    through, back = through_drift(level, values), through_drift(level, values[::-1])
    assert through.low <= level.low <= level.high <= through.high
    assert [back.low, back.high] == pytest.approx([through.low, through.high])


def test_too_few_blocks_have_no_drift_and_a_constant_keeps_its_interval():
    few = PointEstimate(1.0, 3, "given")
    assert through_drift(few, [1.0, 2.0, 3.0]) is few
    constant = through_drift(stats.level([3.1] * 5), [3.1] * 5)
    assert (constant.low, constant.high) == (3.1, 3.1)
    with pytest.raises(ValueError, match="at least 5 values"):
        drift([1.0, 2.0])


# --- error rates; benchmarks/verdict_rules.py has more scenarios and runs ----------------------

RUNS, NOISE, DRIFT = 400, 0.05, log(1.07)


def steady(rng, n):
    return np.zeros(n)


def drifting(rng, n):
    """The machine gets slower, or faster, by 7 % in all."""
    return rng.choice([-1, 1]) * np.linspace(-DRIFT / 2, DRIFT / 2, n)


def outliers(rng, n):
    """The same, and 5 % of the blocks are ten times slower."""
    return drifting(rng, n) + (rng.random(n) < 0.05) * log(10)


def wandering(rng, n):
    """Blocks resemble their neighbours (rho = 0.5), in what identical cells have in common."""
    walk = np.zeros(n)
    walk[0] = rng.normal()
    for i in range(1, n):
        walk[i] = 0.5 * walk[i - 1] + np.sqrt(0.75) * rng.normal()
    return 3 * NOISE * walk


class Runs:
    """Experiments of n blocks on a level of 1, with what happens to the machine meanwhile."""

    def __init__(self, happens, n):
        rng = np.random.default_rng([n, len(happens.__name__)])
        self.runs = []
        for _ in range(RUNS):
            values = np.exp(happens(rng, n) + rng.normal(0, NOISE, n))
            floor = stats.noise_floor(*np.exp(rng.normal(0, NOISE, (2, n))))
            level = stats.level(values)
            self.runs.append((level, through_drift(level, values), floor))
        self.delta = float(np.median([floor.delta for *_, floor in self.runs]))

    def share(self, word, bound):
        """Return how often "the level is above the bound" gets this word."""
        return np.mean(
            [
                decide(level, bound, "above", floor=floor, through=through).word == word
                for level, through, floor in self.runs
            ]
        )


@pytest.mark.parametrize("happens", [steady, drifting, outliers, wandering])
@pytest.mark.parametrize("n", [5, 10, 30])
def test_a_level_is_rarely_judged_wrongly(happens, n):
    """At the bound, 5 % may be; where the claim is false by twice the noise floor, 1 %."""
    runs = Runs(happens, n)
    assert runs.share(REPRODUCED, 1.0) <= 0.05 and runs.share(CONTRADICTED, 1.0) <= 0.05
    assert runs.share(REPRODUCED, np.exp(2 * runs.delta)) <= 0.01


@pytest.mark.parametrize("happens", [steady, drifting, outliers])
@pytest.mark.parametrize("n", [6, 10, 30])
def test_a_level_that_lies_beyond_by_twice_the_noise_floor_is_decided(happens, n):
    """The nearest level that it drifted through does."""
    runs, reach = Runs(happens, n), 0 if happens is steady else DRIFT / 2
    assert runs.share(REPRODUCED, np.exp(-2 * runs.delta - reach)) >= 0.88  # 0.91 of many runs


def test_where_the_level_drifts_across_the_bound_nothing_is_decided():
    """30 blocks without drift would decide this in most runs."""
    runs = Runs(drifting, 30)
    assert runs.share(REPRODUCED, np.exp(-DRIFT / 4)) <= 0.02
    assert Runs(steady, 30).share(REPRODUCED, np.exp(-3 * DRIFT)) >= 0.9
