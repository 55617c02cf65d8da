"""The rule for claims: its cases, its symmetry, and its error rates by simulation."""

from dataclasses import replace
from math import expm1, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchpaper.analysis import stats
from benchpaper.analysis.stats import Interval, NoiseFloor, PointEstimate, UnknownNoiseFloor
from benchpaper.analysis.verdicts import (
    CONTRADICTED,
    INCONCLUSIVE,
    REPRODUCED,
    decide,
    decide_equal,
)

EXPERIMENTS = 10_000


def interval(estimate, low, high, n=15):
    return Interval(estimate, low, high, n, 0.95, "given")


def floor_of(difference, biased=False):
    """A noise floor at which the smallest difference worth believing is the one given."""
    delta = log(1 + difference)
    return NoiseFloor(delta, interval(1.0, 1 / (1 + difference), 1 + difference), biased)


NARROW = interval(0.80, 0.75, 0.85)


# --- cases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bound, side, difference, word",
    [
        (1.0, "below", 0.10, REPRODUCED),
        (1.0, "above", 0.10, CONTRADICTED),
        (0.6, "below", 0.10, CONTRADICTED),
        (0.6, "above", 0.10, REPRODUCED),
        (0.82, "below", 0.10, INCONCLUSIVE),  # the interval holds the bound
        (0.85, "below", 0.0, INCONCLUSIVE),  # and touching is holding
        (1.0, "below", 0.30, INCONCLUSIVE),  # right side, but within the noise floor
        (1.0, "above", 0.30, INCONCLUSIVE),
        (0.6, "above", 0.40, INCONCLUSIVE),
    ],
)
def test_decide(bound, side, difference, word):
    verdict = decide(NARROW, bound, side, floor=floor_of(difference))
    assert verdict.word == word
    assert "0.8 [0.75, 0.85] (n = 15)" in verdict.reason


def test_reasons_read():
    assert decide(NARROW, 1.0, "below", floor=floor_of(0.1)).reason == (
        "0.8 [0.75, 0.85] (n = 15) against 1: below, and by more than the noise floor of 10.00%"
    )
    assert decide(NARROW, 1.0, "below", floor=floor_of(0.3)).reason == (
        "0.8 [0.75, 0.85] (n = 15) against 1: below, but by no more than the noise floor of 30.00%"
    )
    assert decide(NARROW, 0.8, "below", floor=floor_of(0.1)).reason.endswith(
        "the interval holds the bound"
    )


@pytest.mark.parametrize(
    "given, floor, reason",
    [
        (
            PointEstimate(0.8, 4, ""),
            floor_of(0.1),
            "4 blocks are too few for an interval",
        ),
        (
            NARROW,
            UnknownNoiseFloor(PointEstimate(1.0, 3, "")),
            "the noise floor rests on 3 blocks",
        ),
        (NARROW, floor_of(0.1, biased=True), "two identical cells differ"),
    ],
)
def test_whatever_defeats_the_statistics_makes_every_verdict_inconclusive(given, floor, reason):
    for verdict in (
        decide(given, 1.0, "below", floor=floor),
        decide(given, 0.1, "below", floor=floor),
        decide_equal(given, 0.9, floor=floor),
    ):
        assert verdict.word == INCONCLUSIVE and reason in verdict.reason
        assert verdict.reason.startswith(verdict.short) and reason in verdict.short
        assert (
            ";" not in verdict.short
            and "(" not in verdict.short
            and verdict.short != verdict.reason
        )


@pytest.mark.parametrize(
    "verdict, short",
    [
        (
            decide(NARROW, 1.0, "below", floor=floor_of(0.1)),
            "below, and by more than the noise floor of 10.00%",
        ),
        (decide(NARROW, 1.0, "below", floor=None), "below"),
        (
            decide(NARROW, 1.0, "below", floor=floor_of(0.3)),
            "below, but by no more than the noise floor of 30.00%",
        ),
        (decide(NARROW, 0.8, "below", floor=floor_of(0.1)), "the interval holds the bound"),
        (decide_equal(NARROW, 0.3, floor=floor_of(0.1), target=0.8), "within"),
        (
            decide_equal(NARROW, 0.2, floor=floor_of(0.1)),
            "the interval reaches beyond the margin, but not clearly",
        ),
    ],
)
def test_what_is_said_in_short_is_the_reason_without_the_numbers_before_it(verdict, short):
    shown, _, rest = verdict.reason.partition(": ")
    assert verdict.short == rest == short and shown.startswith("0.8 [0.75, 0.85] (n = 15) against ")


def test_a_rate_needs_no_noise_floor_and_may_be_compared_with_zero():
    assert decide(stats.wilson(0, 400), 0.01, "below", floor=None).word == REPRODUCED
    assert decide(stats.wilson(5, 400), 0.0, "above", floor=None).word == REPRODUCED
    assert decide(stats.wilson(0, 20), 0.01, "below", floor=None).word == INCONCLUSIVE


def test_constants_get_verdicts_by_plain_comparison():
    same = stats.noise_floor([3] * 5, [3] * 5)
    assert decide(stats.level([3] * 5), 3.001, "below", floor=same).word == REPRODUCED
    assert decide(stats.level([3] * 5), 3, "below", floor=same).word == INCONCLUSIVE
    assert decide_equal(stats.level([3] * 5), 0.001, target=3, floor=same).word == REPRODUCED


@pytest.mark.parametrize(
    "given, margin, difference, word",
    [
        (interval(1.00, 0.98, 1.02), 0.05, 0.03, REPRODUCED),
        (
            interval(1.00, 0.98, 1.02),
            0.05,
            0.05,
            REPRODUCED,
        ),  # a margin of just the noise floor is allowed
        (interval(1.00, 0.98, 1.02), 0.05, 0.06, INCONCLUSIVE),  # less is not
        (interval(1.00, 0.94, 1.02), 0.05, 0.03, INCONCLUSIVE),
        (
            interval(1.00, 0.951, 1.02),
            0.05,
            0.03,
            INCONCLUSIVE,
        ),  # the margin is a factor: 1/1.05 is 0.952
        (interval(1.00, 0.953, 1.02), 0.05, 0.03, REPRODUCED),
        (interval(1.20, 1.10, 1.30), 0.05, 0.03, CONTRADICTED),
        (interval(0.80, 0.75, 0.90), 0.05, 0.03, CONTRADICTED),
        (
            interval(1.07, 1.06, 1.08),
            0.05,
            0.03,
            INCONCLUSIVE,
        ),  # beyond the margin, but not by the noise floor
        (interval(1.50, 0.90, 2.00), 0.05, 0.03, INCONCLUSIVE),
    ],
)
def test_decide_equal(given, margin, difference, word):
    assert decide_equal(given, margin, floor=floor_of(difference)).word == word


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: decide(NARROW, 1.0, "lower", floor=None),
            'side "lower" is unknown; pass "below" or "above"',
        ),
        (
            lambda: decide(NARROW, float("nan"), "below", floor=None),
            "a bound of nan decides nothing",
        ),
        (
            lambda: decide(NARROW, 0.0, "above", floor=floor_of(0.1)),
            "a bound of 0.0 cannot be cleared by a factor",
        ),
        (lambda: decide_equal(NARROW, 0.0, floor=floor_of(0.1)), "a margin of 0.0 is not positive"),
        (
            lambda: decide_equal(NARROW, 0.1, target=-1, floor=floor_of(0.1)),
            "a target of -1 is not positive",
        ),
    ],
)
def test_wrong_input_is_rejected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "bound, side, through, word, short",
    [
        (1.0, "below", interval(0.8, 0.7, 0.95), REPRODUCED, "below"),
        (1.0, "below", interval(0.8, 0.6, 1.05), INCONCLUSIVE, "the drift of the blocks reaches"),
        (1.0, "above", interval(0.8, 0.7, 0.95), CONTRADICTED, "below"),
        (0.8, "below", interval(0.8, 0.6, 1.05), INCONCLUSIVE, "the interval holds the bound"),
        (1.0, "below", PointEstimate(0.8, 4, ""), REPRODUCED, "below"),  # nothing is known of it
    ],
)
def test_a_level_must_lie_beyond_the_bound_through_its_drift(bound, side, through, word, short):
    verdict = decide(NARROW, bound, side, floor=floor_of(0.1), through=through)
    assert verdict.word == word and verdict.short.startswith(short)
    shown = f", through its drift [{through.low}, {through.high}]," if through.decidable else ""
    assert verdict.reason.startswith(f"0.8 [0.75, 0.85] (n = 15){shown} against {bound:g}: ")


@pytest.mark.parametrize(
    "through, word",
    [
        (interval(0.8, 0.74, 0.86), REPRODUCED),
        (interval(0.8, 0.6, 0.86), INCONCLUSIVE),
        (interval(0.8, 0.74, 0.97), INCONCLUSIVE),
    ],
)
def test_a_level_is_equal_only_through_its_whole_drift(through, word):
    verdict = decide_equal(NARROW, 0.2, floor=floor_of(0.1), target=0.8, through=through)
    assert verdict.word == word


def test_the_reason_names_the_cell_whose_noise_decides():
    floor = replace(floor_of(0.1), cell="system=b")
    for bound, word in ((1.0, REPRODUCED), (0.86, INCONCLUSIVE)):
        verdict = decide(NARROW, bound, "below", floor=floor)
        assert verdict.word == word and "cell" not in verdict.short
        assert verdict.reason == (
            f"0.8 [0.75, 0.85] (n = 15) against {bound:g}: {verdict.short} "
            "(that of the noisiest cell, system=b)"
        )


# --- properties ------------------------------------------------------------------------------

OPPOSITE = {REPRODUCED: CONTRADICTED, CONTRADICTED: REPRODUCED, INCONCLUSIVE: INCONCLUSIVE}
triples = st.tuples(*[st.floats(min_value=0.01, max_value=100)] * 3).map(sorted)


@settings(deadline=None)
@given(triples, st.floats(min_value=0.01, max_value=100), st.floats(min_value=0, max_value=2))
def test_the_opposite_claim_gets_the_opposite_verdict(ends, bound, difference):
    low, estimate, high = ends
    given, floor = interval(estimate, low, high), floor_of(difference)
    assert (
        decide(given, bound, "above", floor=floor).word
        == OPPOSITE[decide(given, bound, "below", floor=floor).word]
    )


@settings(deadline=None)
@given(
    triples,
    st.floats(min_value=0.01, max_value=100),
    st.floats(min_value=0, max_value=2),
    st.floats(min_value=1, max_value=3),
)
def test_more_noise_never_makes_a_verdict(ends, bound, difference, louder):
    low, estimate, high = ends
    quiet = decide(interval(estimate, low, high), bound, "below", floor=floor_of(difference)).word
    loud = decide(
        interval(estimate, low / louder, high * louder),
        bound,
        "below",
        floor=floor_of(difference * louder),
    ).word
    assert loud in (quiet, INCONCLUSIVE)


# --- error rates by simulation ---------------------------------------------------------------

NOISE = 0.1  # standard deviation of the log of one trial


def no_outliers(rng, shape):
    """What disturbs the two trials of a pair, on the log scale."""
    return 0.0, 0.0


def outlier_blocks(rng, shape):
    """5 % of blocks are ten times slower, in both cells alike."""
    block = (rng.random(shape) < 0.05) * log(10)
    return block, block


def outlier_trials(rng, shape):
    """5 % of trials are slower by five noises on average, so nearly 10 % of pairs are disturbed."""
    return tuple((rng.random(shape) < 0.05) * rng.exponential(5 * NOISE, shape) for _ in range(2))


def outlier_pairs(rng, shape):
    """The same in one trial of 5 % of the pairs."""
    return _either(rng, (rng.random(shape) < 0.05) * rng.exponential(5 * NOISE, shape))


def wild_pairs(rng, shape):
    """In 5 % of the pairs one of the two trials is ten times slower."""
    return _either(rng, (rng.random(shape) < 0.05) * log(10))


def _either(rng, disturbance):
    first = rng.random(disturbance.shape) < 0.5
    return disturbance * first, disturbance * ~first


class Runs:
    """10,000 experiments of n blocks: an A/A comparison each, and claims of known truth."""

    def __init__(self, n, outliers):
        self.rng, self.shape, self.outliers = (
            np.random.default_rng([2026, n]),
            (EXPERIMENTS, n),
            outliers,
        )
        self.floors = [
            NoiseFloor(max(abs(log(aa.low)), abs(log(aa.high))), aa, not aa.low <= 1 <= aa.high)
            for aa in self.intervals(truth=0.0)
        ]
        self.delta = float(np.median([floor.delta for floor in self.floors]))

    def intervals(self, truth, noisier=1):
        block = self.rng.normal(0, 5 * NOISE, self.shape)
        disturbed, disturbed2 = self.outliers(self.rng, self.shape)
        a = np.exp(truth + block + disturbed + self.rng.normal(0, NOISE * noisier, self.shape))
        a2 = np.exp(block + disturbed2 + self.rng.normal(0, NOISE * noisier, self.shape))
        ratios = a / a2
        rows = zip(*(column.tolist() for column in stats.median_and_ends(ratios, logs=True)))
        return [Interval(*row, self.shape[1], 0.95, "simulated") for row in rows]

    def share(self, word, truth, noisier=1):
        """Return how often "the ratio is above 1" gets this word for this true log ratio."""
        pairs = zip(self.intervals(truth, noisier), self.floors)
        return np.mean(
            [decide(given, 1.0, "above", floor=floor).word == word for given, floor in pairs]
        )


def test_simulated_runs_are_what_the_library_computes():
    ratios = np.random.default_rng(5).lognormal(size=(50, 9))
    for row, estimate, low, high in zip(ratios, *stats.median_and_ends(ratios, logs=True)):
        floor = stats.noise_floor(row, np.ones(9))
        assert (floor.interval.estimate, floor.interval.low, floor.interval.high) == pytest.approx(
            (estimate, low, high)
        )
        assert floor.delta == pytest.approx(
            max(abs(log(low)), abs(log(high)))
        ) and floor.biased == (not low <= 1 <= high)


@pytest.mark.parametrize("outliers", [no_outliers, outlier_pairs, outlier_trials, wild_pairs])
@pytest.mark.parametrize("n", [5, 6, 7, 8, 10, 15, 20, 30])
def test_wrong_verdicts_are_rare(n, outliers):
    runs = Runs(n, outliers)
    for noisier in (1, 3):
        assert runs.share(REPRODUCED, truth=0.0, noisier=noisier) <= 0.05
        assert runs.share(CONTRADICTED, truth=2 * runs.delta, noisier=noisier) <= 0.01


@pytest.mark.parametrize("n", [10, 11, 12, 13, 15, 20, 25, 30])
@pytest.mark.parametrize("outliers", [no_outliers, outlier_blocks, outlier_pairs])
def test_what_is_true_by_twice_the_noise_floor_is_reproduced(n, outliers):
    runs = Runs(n, outliers)
    assert runs.share(REPRODUCED, truth=2 * runs.delta) >= 0.90


@pytest.mark.parametrize(
    "n, at_least, at_most",
    [(10, 0.85, 0.90), (11, 0.85, 0.905), (12, 0.90, 1), (15, 0.90, 1), (30, 0.90, 1)],
)
@pytest.mark.parametrize("outliers", [outlier_trials, wild_pairs])
def test_limit_outliers_in_single_cells_cost_more_below_12_blocks(n, at_least, at_most, outliers):
    """At 10 blocks the interval ends at the third value: two wild pairs on a side are too many."""
    runs = Runs(n, outliers)
    assert at_least <= runs.share(REPRODUCED, truth=2 * runs.delta) <= at_most


@pytest.mark.parametrize("n", [5, 10, 30])
def test_identical_cells_are_found_to_differ_in_one_run_of_twenty(n):
    assert np.mean([floor.biased for floor in Runs(n, no_outliers).floors]) == pytest.approx(
        0.0625 if n == 5 else 0.05, abs=0.007
    )


@pytest.mark.parametrize("n", [5, 10, 30])
def test_equivalence_is_rarely_wrong_and_can_be_had(n):
    runs = Runs(n, outlier_pairs)
    margin = expm1(3 * runs.delta)

    def share(word, truth):
        pairs = zip(runs.intervals(truth), runs.floors)
        return np.mean(
            [decide_equal(given, margin, floor=floor).word == word for given, floor in pairs]
        )

    assert share(REPRODUCED, truth=3 * runs.delta) <= 0.05
    assert share(CONTRADICTED, truth=0.0) <= 0.01
    assert share(CONTRADICTED, truth=3 * runs.delta) <= 0.05
    if n >= 10:
        assert share(REPRODUCED, truth=0.0) >= 0.90
        assert share(CONTRADICTED, truth=6 * runs.delta) >= 0.90


def test_negative_control_without_the_interval_the_rule_is_wrong_too_often():
    """Clearing the noise floor is not enough if the cells are noisier than the A/A cell."""
    runs = Runs(10, no_outliers)
    pairs = zip(runs.intervals(0.0, noisier=3), runs.floors)
    assert (
        np.mean([log(given.estimate) > floor.delta and not floor.biased for given, floor in pairs])
        > 0.10
    )


def test_nothing_is_equal_without_a_noise_floor():
    """The twin's transport may not work on a host on which the claim's does."""
    interval = stats.level(np.array([0.99, 1.0, 1.0, 1.0, 1.01]))
    decision = decide_equal(interval, 0.1, floor=None)
    assert decision.word == INCONCLUSIVE and "no noise floor" in decision.reason
