"""Properties of the statistics, their rules, and wrong input."""

import subprocess
import sys
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchpaper.analysis import stats

positive = st.floats(min_value=1e-6, max_value=1e6)
blocks = st.lists(positive, min_size=5, max_size=40)


# --- properties ------------------------------------------------------------------------------


def ends(interval):
    return [interval.estimate, interval.low, interval.high]


@settings(deadline=None)
@given(blocks, st.floats(min_value=1e-3, max_value=1e3))
def test_level_is_scale_equivariant(values, factor):
    assert ends(stats.level(np.array(values) * factor)) == pytest.approx(
        np.multiply(ends(stats.level(values)), factor), rel=1e-9
    )


@settings(deadline=None)
@given(blocks, st.randoms(use_true_random=False))
def test_order_of_blocks_does_not_matter_to_a_level(values, random):
    shuffled = random.sample(values, len(values))
    assert stats.level(shuffled) == stats.level(values)


@settings(deadline=None)
@given(blocks, st.data())
def test_level_is_monotone_and_stays_within_the_values(values, data):
    raised = list(values)
    raised[data.draw(st.integers(0, len(values) - 1))] *= data.draw(
        st.floats(min_value=1, max_value=10)
    )
    before, after = ends(stats.level(values)), ends(stats.level(raised))
    assert all(b <= a * (1 + 1e-12) for b, a in zip(before, after))
    assert min(values) * (1 - 1e-12) <= before[1] <= before[0] * (1 + 1e-12) and before[
        0
    ] <= before[2] * (1 + 1e-12) <= max(values) * (1 + 1e-11)


@settings(deadline=None)
@given(blocks)
def test_level_is_the_interval_of_the_logs(values):
    logs = stats.median_interval(np.log(values))
    assert ends(stats.level(values)) == pytest.approx(np.exp(ends(logs)), rel=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(positive, positive, positive), min_size=5, max_size=30))
def test_paired_ratio_inverts_and_forgets_what_a_block_does_to_both(rows):
    a, b, block = np.array(rows).T
    ratio, inverse = stats.paired_ratio(a, b), stats.paired_ratio(b, a)
    assert [1 / inverse.estimate, 1 / inverse.high, 1 / inverse.low] == pytest.approx(
        ends(ratio), rel=1e-9
    )
    assert ends(stats.paired_ratio(a * block, b * block)) == pytest.approx(ends(ratio), rel=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(positive, positive), min_size=5, max_size=30))
def test_noise_floor_is_the_larger_end_and_knows_no_order(rows):
    a, a2 = np.array(rows).T
    floor, other = stats.noise_floor(a, a2), stats.noise_floor(a2, a)
    assert floor.delta == pytest.approx(
        max(abs(log(floor.interval.low)), abs(log(floor.interval.high)))
    )
    assert floor.delta == pytest.approx(other.delta, rel=1e-9, abs=1e-12)
    assert floor.smallest_difference == pytest.approx(exp(floor.delta) - 1)


@settings(deadline=None)
@given(positive, st.integers(1, 40))
def test_a_constant_is_its_own_interval_to_the_last_bit(value, n):
    interval = stats.level([value] * n)
    assert interval.estimate == value and (n < 5 or (interval.low, interval.high) == (value, value))
    if n >= 5:
        floor = stats.noise_floor([value] * n, [value] * n)
        assert floor.delta == 0 and not floor.biased


def test_rounding_does_not_swap_the_ends_of_nearly_equal_blocks():
    values = [0.875, np.nextafter(0.875, 1), 0.875, np.nextafter(0.875, 0)] * 2
    for interval in (
        stats.level(values),
        stats.paired_ratio(np.array(values) * 3, [3.0] * 8),
        stats.median_interval(values),
    ):
        assert interval.low <= interval.estimate <= interval.high
    a, b = (
        np.multiply([1.0, 1.02, 0.99, 1.01, 0.98, 1.005, 0.995, 1.015], 7),
        np.multiply([1.0, 1.02, 0.99, 1.01, 0.98, 1.005, 0.995, 1.015], 8),
    )
    assert stats.paired_ratio(a, b).estimate == pytest.approx(0.875)


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_its_estimate_and_mirrors(k, n):
    k = min(k, n)
    interval, mirror = stats.wilson(k, n), stats.wilson(n - k, n)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert (interval.low, interval.high) == (
        pytest.approx(1 - mirror.high, abs=1e-12),
        pytest.approx(1 - mirror.low, abs=1e-12),
    )


@settings(deadline=None)
@given(blocks, blocks)
def test_independent_ratio_inverts_and_knows_no_order(a, b):
    ratio, inverse = stats.independent_ratio(a, b), stats.independent_ratio(b, a[::-1])
    assert [1 / inverse.estimate, 1 / inverse.high, 1 / inverse.low] == pytest.approx(
        ends(ratio), rel=1e-9
    )
    assert ratio.estimate == pytest.approx(stats.level(a).estimate / stats.level(b).estimate)


# --- rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_below_five_blocks_there_is_an_estimate_and_no_interval(n):
    for interval in (
        stats.level([2.0] * n),
        stats.median_interval([2.0] * n),
        stats.noise_floor([2.0] * n, [2.0] * n).interval,
    ):
        assert (
            not interval.decidable
            and interval.low is interval.high is interval.confidence is None
            and interval.n == n
        )
    assert not stats.noise_floor([2.0] * n, [3.0] * n).known


def test_rank_agreement_of_fewer_than_five_has_no_interval():
    assert (
        not stats.rank_agreement([1, 2, 3, 4], [1, 2, 3, 4]).decidable
        and stats.rank_agreement(range(5), range(5)).decidable
    )


def test_five_blocks_attain_less_and_say_so():
    assert stats.level([3, 1, 2, 5, 4]) == stats.Interval(
        3.0, 1.0, 5.0, 5, 0.9375, "median of logs, Hettmansperger-Sheather"
    )


def test_independent_ratio_known_answers():
    """Against a constant, the interval is that of the level.

    With two noisy sets, the half-widths add up like the sides of a right triangle.
    """
    values = [1.0, 2.0, 3.0, 5.0, 8.0, 4.0]
    level = stats.level(values)
    assert ends(stats.independent_ratio(values, [2.0] * 9)) == pytest.approx(
        np.divide(ends(level), 2)
    )
    twice = stats.independent_ratio(values, values)
    reach = np.hypot(log(level.high / level.estimate), log(level.estimate / level.low))
    assert ends(twice) == pytest.approx([1, exp(-reach), exp(reach)]) and twice.n == 6
    assert (
        not stats.independent_ratio(values, [2.0] * 4).decidable
        and stats.independent_ratio(values, [2.0] * 4).n == 4
    )


def test_noise_floor_of_cells_that_differ_is_biased():
    a = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.0])
    assert stats.noise_floor(a * 1.2, a).biased and stats.noise_floor(a, a * 1.2).biased
    assert not stats.noise_floor(a, a[::-1]).biased


def test_identical_cells_looked_at_in_several_metrics_differ_by_chance_no_more_often():
    """One look at 5 blocks is wrong in 1 run of 16, so five looks need ten blocks."""
    five, ten = np.full(5, 1.2), np.full(10, 1.2)
    assert (
        stats.noise_floor(five, np.ones(5)).biased
        and not stats.noise_floor(five, np.ones(5), looks=5).biased
    )
    assert stats.noise_floor(ten, np.ones(10), looks=5).biased
    assert (
        stats.noise_floor(ten, np.ones(10), looks=5).delta
        == stats.noise_floor(ten, np.ones(10)).delta
    )
    runs = np.exp(np.random.default_rng(1).normal(0, 0.1, (2000, 5, 10)))
    wrong = [
        any(stats.noise_floor(ratios, np.ones(10), looks=5).biased for ratios in run)
        for run in runs
    ]
    assert np.mean(wrong) < 0.06


@pytest.mark.parametrize(
    "n_samples, q, reason",
    [
        (100, 0.9, None),
        (1_000, 0.99, None),
        (999, 0.99, "p99 needs 1,000 samples in each trial; the smallest trial has 999"),
        (10_000, 0.999, None),
        (9_999, 0.999, "p99.9 needs 10,000 samples in each trial; the smallest trial has 9,999"),
        ([1_000, 1_000], 0.99, None),
        (
            [1_000, 2_000],
            0.99,
            "p99 is compared only between trials of one size; these have 1,000 to 2,000 samples",
        ),
        ([5_000, 10], 0.99, "p99 needs 1,000 samples in each trial; the smallest trial has 10"),
        (10**9, 1.0, "a maximum grows with the number of samples, and has no interval"),
    ],
)
def test_tail_allowed(n_samples, q, reason):
    assert stats.tail_allowed(n_samples, q) == reason


def test_blocks_needed_known_answer():
    logs = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])  # MAD 0.1
    assert stats.blocks_needed(np.exp(logs), 0.05) == int(
        np.ceil((2.46 * 1.4826 * 0.1 / 0.05) ** 2)
    )
    assert stats.blocks_needed([3.0] * 5, 0.01) == 5


def test_blocks_needed_brings_about_the_width_wished_for():
    rng = np.random.default_rng(4)
    half_widths = []
    for _ in range(300):
        n = stats.blocks_needed(rng.lognormal(0, 0.2, 30), 0.05)
        interval = stats.level(rng.lognormal(0, 0.2, n))
        half_widths.append(log(interval.high / interval.low) / 2)
    assert np.median(half_widths) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: stats.level([1, 0, 2]),
            r"values\[1\] is 0, and only positive values have logs; use wilson",
        ),
        (lambda: stats.level([1, 2, -3.5]), r"values\[2\] is -3.5, and only positive"),
        (
            lambda: stats.level([1, float("nan")]),
            r"values\[1\] is nan, not a finite number; leave failed trials out",
        ),
        (lambda: stats.median_interval([float("inf"), 1]), r"values\[0\] is inf"),
        (lambda: stats.level([]), r"values has shape \(0,\); pass a 1-D array of at least 1"),
        (lambda: stats.level([[1, 2], [3, 4]]), r"shape \(2, 2\)"),
        (lambda: stats.level(["1", "2"]), "not numeric"),
        (lambda: stats.level([1, None]), "not numeric"),
        (lambda: stats.paired_ratio([1, 2], [1, 2, 3]), r"a and b have shapes \(2,\) and \(3,\)"),
        (lambda: stats.paired_ratio([1, 2], [1, 0]), r"b\[1\] is 0"),
        (lambda: stats.independent_ratio([1, 2], [1, 0, 3]), r"b\[1\] is 0"),
        (lambda: stats.noise_floor([1] * 5, [1] * 4), "a and b have shapes"),
        (
            lambda: stats.level([1e-300, *[1e300] * 5]),
            "not finite; use values within the range of a double, in another unit",
        ),
        (lambda: stats.paired_ratio([1e300] * 5, [1e-300] * 5), "in another unit"),
        (lambda: stats.blocks_needed([1, 2, 3], 0.1), "at least 5 values"),
        (lambda: stats.blocks_needed([1] * 5, 0), "half_width is 0"),
        (lambda: stats.quantile([1, 2], 1.5), "q is 1.5"),
        (lambda: stats.quantile([1, 2], 0.5, [1]), "values and counts have shapes"),
        (lambda: stats.quantile([1, 2], 0.5, [0, 0]), "somewhere positive"),
        (lambda: stats.quantile([1, 2], 0.5, [2, -1]), "non-negative"),
        (lambda: stats.quantile([1, 2], 0.5, [0.5, 0.5]), "whole"),
        (lambda: stats.tail_allowed(1_000, 99), "q is 99"),
        (lambda: stats.tail_allowed([], 0.99), "shape"),
        (lambda: stats.rank_agreement([1, 2, 3], [1, 2]), "x and y have shapes"),
        (lambda: stats.rank_agreement([1, 2, 3], [4, 4, 4]), "all 3 values of y are equal"),
        (lambda: stats.wilson(3, 2), "3 of 2 is not a rate"),
        (lambda: stats.wilson(0, 0), "0 of 0"),
        (lambda: stats.wilson(0.5, 2), "0.5 of 2"),
        (lambda: stats.order_weights(1), "1 values have no interval"),
        (lambda: stats.PointEstimate(float("nan"), 1, ""), "not finite"),
        (lambda: stats.Interval(1.0, 0.5, float("inf"), 5, 0.95, ""), "not finite"),
        (lambda: stats.Interval(1.0, 2.0, 0.5, 5, 0.95, ""), "wrong way round"),
    ],
)
def test_wrong_input_is_rejected_with_the_value_the_rule_and_the_next_step(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_import_does_not_pay_for_scipy_stats():
    code = (
        "import sys, benchpaper.analysis.stats, benchpaper.analysis.independence; "
        "sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
