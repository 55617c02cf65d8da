"""The statistics against published examples, brute force and other implementations."""

from fractions import Fraction
from itertools import product
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats.mstats import median_cihs

from benchpaper.analysis import stats

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
