"""Statistics against published worked examples, brute force, properties, and simulated coverage."""

import subprocess
import sys
from fractions import Fraction
from itertools import product
from math import ceil, exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest
from scipy.stats.mstats import median_cihs
from simulated import autoregressive

from benchpaper.analysis import stats

EXPERIMENTS = 10_000
BLOCK_COUNTS = range(5, 31)

positive = st.floats(min_value=1e-6, max_value=1e6)
samples = st.lists(positive, min_size=1, max_size=40)
blocks = st.lists(positive, min_size=5, max_size=40)


# --- published worked examples ---------------------------------------------------------------


@pytest.mark.parametrize("n, k, weight", [(6, 1, 0.357), (10, 2, 0.658), (20, 6, 0.235)])
def test_order_weights_golden(n, k, weight):
    assert stats.order_weights(n) == (k, pytest.approx(weight, abs=5e-4), 0.95)


def test_order_weights_of_many_values_are_found_fast_and_near_the_normal_limit():
    k, _, _ = stats.order_weights(10_000)
    assert k == pytest.approx(5_000 - 1.96 * 50, abs=2)


def test_order_weights_of_five_blocks_are_the_extremes_and_say_what_they_attain():
    assert stats.order_weights(5) == (1, 0.0, 0.9375)


# eqnpar of R's EnvStats and median_confint_hs of R's quantileCI, as printed in scipy's own tests
ENVSTATS = [
    0.88612955,
    0.35242375,
    0.66240904,
    0.94617974,
    0.10929913,
    0.76699506,
    0.88550655,
    0.62763754,
    0.76818588,
    0.68506508,
    0.88043148,
    0.03911248,
    0.93805564,
    0.95326961,
    0.25291112,
    0.16128487,
    0.49784577,
    0.24588924,
    0.65970000,
    0.92239679,
]
# sint of R. Wilcox's WRS, as printed in the manual of RobustStats.jl
WILCOX = [
    1.672064,
    0.7876588,
    0.317322,
    0.9721646,
    0.4004206,
    1.665123,
    3.059971,
    0.09459603,
    1.27424,
    3.522148,
    0.8211308,
    1.328767,
    2.825956,
    0.1102891,
    0.06314285,
    2.59152,
    8.624108,
    0.6516885,
    5.770285,
    0.5154299,
]


@pytest.mark.parametrize(
    "values, low, high", [(ENVSTATS, 0.38663198, 0.88431272), (WILCOX, 0.547483, 2.375232)]
)
def test_median_interval_published(values, low, high):
    interval = stats.median_interval(values)
    assert (interval.low, interval.high) == (
        pytest.approx(low, rel=1e-6),
        pytest.approx(high, rel=1e-6),
    )


def test_median_ends_published_at_90_percent():
    _, low, high = stats.median_and_ends(ENVSTATS, confidence=0.90)
    assert (low, high) == (
        pytest.approx(0.48319773366, rel=1e-6),
        pytest.approx(0.88094268050, rel=1e-6),
    )


# Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
@pytest.mark.parametrize(
    "k, n, low, high",
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_published(k, n, low, high):
    interval = stats.wilson(k, n)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_kendall_published():
    # Hollander & Wolfe (1973), p. 187: lightness of tuna, and how a panel liked it
    lightness, panel = (
        [44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1],
        [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8],
    )
    assert stats.rank_agreement(lightness, panel).estimate == pytest.approx(0.4444, abs=5e-5)
    # tau and, with a tie in y, tau_b of R's ircor, from its manual
    x, y = (
        [0.67, 0.45, 0.29, 0.12, 0.57, 0.24, 0.94, 0.75, 0.08, 0.54],
        [0.48, 0.68, 0.32, 0.09, 0.06, 0.61, 0.87, 0.22, 0.44, 0.84],
    )
    assert stats.rank_agreement(x, y).estimate == pytest.approx(0.2)
    assert stats.rank_agreement(x, np.round(y, 1)).estimate == pytest.approx(0.2247333, abs=5e-8)


# --- brute force and other implementations ---------------------------------------------------


@pytest.mark.parametrize("n", range(2, 13))
def test_order_weights_by_enumeration(n):
    """k is the innermost order statistic whose interval covers, over all 2^n sign patterns."""
    below = [sum(signs) for signs in product((0, 1), repeat=n)]
    coverage = {k: np.mean([k <= count <= n - k for count in below]) for k in range(1, n // 2 + 1)}
    k, weight, attained = stats.order_weights(n)
    enough = [k for k, covered in coverage.items() if covered >= 0.95]
    assert k == max(enough, default=1) and 0 <= weight < 1
    assert attained == (0.95 if enough else coverage[1])


@pytest.mark.parametrize("n", range(6, 61))
def test_median_interval_is_scipys_from_six_values_on(n):
    values = np.random.default_rng(n).lognormal(size=n)
    interval = stats.median_interval(values)
    assert [interval.low, interval.high] == pytest.approx(median_cihs(values), rel=1e-9)
    assert interval.estimate == pytest.approx(np.median(values))


@pytest.mark.parametrize("n", [1, 2, 5, 20, 263])
def test_wilson_is_scipys_and_holds_exactly_the_rates_that_the_score_test_accepts(n):
    rates = np.linspace(0.0005, 0.9995, 1000)
    for k in {0, 1, n // 2, n}:
        interval = stats.wilson(k, n)
        scipys = binomtest(k, n).proportion_ci(method="wilson")
        assert (interval.low, interval.high) == (
            pytest.approx(scipys.low, abs=1e-12),
            pytest.approx(scipys.high, abs=1e-12),
        )
        accepted = abs(k / n - rates) <= 1.959964 * np.sqrt(rates * (1 - rates) / n)
        assert ((interval.low <= rates) & (rates <= interval.high) == accepted).mean() > 0.998


@pytest.mark.parametrize("n", [5, 9, 30])
def test_rank_interval_holds_exactly_the_taus_that_the_score_test_accepts(n):
    taus = np.linspace(-0.9995, 0.9995, 2000)
    rng = np.random.default_rng(n)
    for x, y in [
        (np.arange(n), np.arange(n)),
        (np.arange(n), -np.arange(n)),
        (np.arange(n), rng.permutation(n)),
    ]:
        interval = stats.rank_agreement(x, y)
        variance = 2 * (2 * n + 5) / (9 * n * (n - 1)) * (1 - taus**2)
        accepted = abs(interval.estimate - taus) <= 1.959964 * np.sqrt(variance)
        assert ((interval.low <= taus) & (taus <= interval.high) == accepted).mean() > 0.998
        assert -1 <= interval.low <= interval.estimate <= interval.high <= 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 30)), min_size=1, max_size=30),
    st.integers(0, 1000),
)
def test_quantile_of_counts_is_that_of_the_expanded_samples_by_its_definition(
    histogram, thousandths
):
    values, counts = (np.array(column) for column in zip(*histogram))
    if not counts.any():
        counts[0] = 1
    q, expanded = thousandths / 1000, np.repeat(values, counts)
    expected = next(
        v
        for v in sorted(expanded)
        if Fraction(int((expanded <= v).sum()), len(expanded)) * 1000 >= thousandths
    )
    assert stats.quantile(values, q, counts) == expected == stats.quantile(expanded, q)


def test_a_quantile_has_the_rank_of_exact_arithmetic():
    for n in [*range(1, 60), 99, 100, 101, 200, 1000, 12_345]:
        values = np.arange(1, n + 1)
        for q in range(101):
            rank = max(1, ceil(Fraction(q, 100) * n))
            assert (
                stats.quantile(values, q / 100)
                == rank
                == stats.quantile(values[::-1], q / 100, values**0)
            ), (n, q)
    for q in (0.999, 0.9999, 0.99999, 0.999999, 0.9999999, 0.999999999):
        n = round(1 / (1 - q))
        assert (
            stats.quantile([1, 2], q, [n - 1, 1]) == 1
            and stats.quantile([1, 2], q, [2 * n - 3, 3]) == 2
        )
    for n in range(1, 100):  # shares that no decimal number gives
        assert [stats.quantile(range(1, n + 1), k / n) for k in range(1, n + 1)] == list(
            range(1, n + 1)
        )


@pytest.mark.parametrize("q", [0.5, 0.99])
def test_numpys_quantile_has_that_rank_where_experiments_take_it_in_their_own_processes(q):
    numbers = np.arange(1, 2001)
    for n in range(1, 2001):
        assert np.quantile(numbers[:n], q, method="inverted_cdf") == stats.quantile(numbers[:n], q)


def test_quantile_known_answers():
    assert stats.quantile(range(1, 101), 0.99) == 99  # the 99th of 100, not something between
    assert [stats.quantile(range(1, 101), q / 100, [1] * 100) for q in (7, 14, 28, 55, 56)] == [
        7,
        14,
        28,
        55,
        56,
    ]
    assert stats.quantile([10, 20], 0.5, [1, 1]) == 10
    assert stats.quantile([20, 10], 0.99, [1, 99]) == 10
    assert stats.quantile([20, 10], 0.99, [2, 98]) == 20
    assert stats.quantile([7], 0.0, [10**12]) == 7


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
    assert stats.noise_floor([2.0] * n, [3.0] * n).delta is None


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
        (lambda: stats.Interval(float("nan"), None, None, 1, None, ""), "not finite"),
        (lambda: stats.Interval(1.0, 0.5, None, 1, None, ""), "not finite"),
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


# --- coverage by simulation ------------------------------------------------------------------


def coverage(draw, truth, n, logs=True):
    """The share of seeded experiments with n blocks whose interval holds the truth."""
    values = draw(np.random.default_rng([2026, n]), (EXPERIMENTS, n))
    _, low, high = stats.median_and_ends(values, logs=logs)
    return np.mean((low <= truth) & (truth <= high))


def lognormal(rng, shape):
    return np.exp(rng.normal(0, 0.3, shape))


def drifting(rng, shape):
    """Speed changes during the run by as much as one standard deviation of the blocks."""
    return lognormal(rng, shape) * np.exp(np.linspace(-0.15, 0.15, shape[1]))


def outlier_blocks(share):
    return lambda rng, shape: lognormal(rng, shape) * np.where(rng.random(shape) < share, 10, 1)


def median_with_outliers(share):
    return exp(
        brentq(
            lambda x: (1 - share) * ndtr(x / 0.3) + share * ndtr((x - log(10)) / 0.3) - 0.5, -1, 1
        )
    )


def exponential(rng, shape):
    return rng.exponential(size=shape)


def medians_of_skewed_samples(rng, shape):
    """Each block's value is the median of 11 log-normal samples, times a block effect."""
    return lognormal(rng, shape) * np.exp(1.5 * ndtri(rng.beta(6, 6, shape)))


def p99_of_skewed_samples(rng, shape):
    """Each block's value is the p99 of 1,000 log-normal samples.

    The 990th of 1,000 uniform samples has the distribution Beta(990, 11).
    """
    return lognormal(rng, shape) * np.exp(ndtri(rng.beta(990, 11, shape)))


def ratios_on_a_bad_machine(rng, shape):
    """Strong drift, correlation and outliers hit both cells alike; then each gets its own noise."""
    block = rng.normal(0, 0.3, shape)
    for i in range(1, shape[1]):
        block[:, i] += 0.8 * block[:, i - 1]
    block += np.linspace(0, 3, shape[1]) + np.where(rng.random(shape) < 0.1, 2, 0)
    a, b = np.exp(block + rng.normal(0, 0.1, shape)), np.exp(block + rng.normal(0, 0.1, shape))
    return a / b


P99 = float(np.median(p99_of_skewed_samples(np.random.default_rng(1), 2_000_000)))


@pytest.mark.parametrize(
    "draw, truth",
    [
        pytest.param(lognormal, 1, id="log-normal"),
        pytest.param(drifting, 1, id="drift"),
        pytest.param(outlier_blocks(0.05), 1, id="outliers-5%-undisturbed-median"),
        pytest.param(
            outlier_blocks(0.10), median_with_outliers(0.10), id="outliers-10%-own-median"
        ),
        pytest.param(exponential, log(2), id="exponential"),
        pytest.param(medians_of_skewed_samples, 1, id="medians-of-skewed"),
        pytest.param(p99_of_skewed_samples, P99, id="p99-of-skewed"),
        pytest.param(ratios_on_a_bad_machine, 1, id="paired-ratios"),
    ],
)
def test_coverage_at_every_block_count_that_gets_verdicts(draw, truth):
    covered = {n: coverage(draw, truth, n) for n in BLOCK_COUNTS}
    assert all(0.92 <= share <= 0.97 for share in covered.values()), covered


def test_coverage_on_the_plain_scale():
    covered = {
        n: coverage(lambda rng, shape: rng.normal(0, 1, shape), 0, n, logs=False)
        for n in BLOCK_COUNTS
    }
    assert all(0.92 <= share <= 0.97 for share in covered.values()), covered


def test_negative_control_correlated_blocks_defeat_the_interval_for_a_level():
    assert all(0.88 <= coverage(autoregressive(0.2), 1, n) <= 0.92 for n in BLOCK_COUNTS)
    assert all(0.75 <= coverage(autoregressive(0.5), 1, n) <= 0.83 for n in BLOCK_COUNTS)


def test_limit_strong_drift_makes_the_interval_of_a_level_too_wide():
    """Twice that drift breaks 97 %, on the safe side, and `correlated` detects it."""

    def strongly(rng, shape):
        return lognormal(rng, shape) * np.exp(np.linspace(-0.6, 0.6, shape[1]))

    assert all(coverage(strongly, 1, n) > 0.97 for n in BLOCK_COUNTS)


def test_limit_many_outlier_blocks_on_one_side_are_part_of_the_median():
    """At 20 % outliers the interval covers the median of all blocks, not of undisturbed ones."""
    assert coverage(outlier_blocks(0.2), median_with_outliers(0.2), 30) > 0.93
    assert coverage(outlier_blocks(0.2), 1, 30) < 0.90


@pytest.mark.parametrize("n, n2", [(5, 5), (5, 15), (6, 6), (9, 15), (15, 5), (15, 15), (30, 30)])
@pytest.mark.parametrize("noises", [(0.3, 0.3), (0.1, 0.5), (0.5, 0.1)])
def test_coverage_of_the_ratio_of_two_independent_sets_of_blocks(n, n2, noises):
    """Coverage is 94-98 %, with unequal sizes and noise, and 5 % of blocks ten times slower."""
    rng = np.random.default_rng([2026, n, n2])
    sets = [
        rng.normal(0, s, (2_000, k)) + log(10) * (rng.random((2_000, k)) < 0.05)
        for s, k in zip(noises, (n, n2))
    ]

    def below_median(x, noise):
        return 0.95 * ndtr(x / noise) + 0.05 * ndtr((x - log(10)) / noise) - 0.5

    truth = np.diff([brentq(below_median, -1, 1, args=(noise,)) for noise in noises])[0]
    intervals = [stats.independent_ratio(a, b) for a, b in zip(*map(np.exp, sets))]
    assert (
        0.93
        <= np.mean([interval.low <= exp(-truth) <= interval.high for interval in intervals])
        <= 0.985
    )


def test_negative_control_wrong_order_statistics_are_noticed(monkeypatch):
    right = stats.order_weights
    for wrong in (
        lambda n, c: (right(n, c)[0] + 1, *right(n, c)[1:]),
        lambda n, c: (right(n, c)[0], 1 - right(n, c)[1], c),
    ):
        monkeypatch.setattr(stats, "order_weights", wrong)
        assert not all(0.92 <= coverage(lognormal, 1, n) <= 0.97 for n in BLOCK_COUNTS)


def test_negative_control_percentile_bootstrap_is_noticed():
    rng = np.random.default_rng(7)
    values = lognormal(rng, (2_000, 7))
    resampled = np.median(
        np.take_along_axis(values[:, None, :], rng.integers(7, size=(2_000, 400, 7)), axis=2),
        axis=2,
    )
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    assert np.mean((low <= 1) & (high >= 1)) < 0.91


def test_negative_control_p99_pooled_over_blocks_misses_the_p99_of_a_block():
    rng = np.random.default_rng(8)
    pooled, by_block = [], []
    for _ in range(100):
        slow = np.where(rng.random(15) < 0.1, 10, 1)
        latencies = rng.lognormal(size=(15, 1_000)) * slow[:, None]
        pooled.append(stats.quantile(latencies.ravel(), 0.99))
        by_block.append(stats.level([stats.quantile(block, 0.99) for block in latencies]))
    assert np.mean([interval.low <= P99 <= interval.high for interval in by_block]) > 0.9
    assert np.mean(np.array(pooled) > 2 * P99) > 0.5


@pytest.mark.parametrize("n", [5, 6, 8, 12, 20, 30])
def test_coverage_of_rank_agreement(n):
    """At least 93 % at any strength of agreement; the stronger, the more, up to all."""
    rng = np.random.default_rng(n)
    for tau in (0, 0.4, 0.7, 0.9):
        correlation = np.sin(np.pi * tau / 2)
        x = rng.normal(size=(400, n))
        y = correlation * x + np.sqrt(1 - correlation**2) * rng.normal(size=(400, n))
        intervals = [stats.rank_agreement(*pair) for pair in zip(x, y)]
        assert np.mean([interval.low <= tau <= interval.high for interval in intervals]) >= 0.91
