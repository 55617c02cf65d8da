"""Independence of blocks: published examples, enumeration of all orders, simulated rates."""

from itertools import permutations

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import kendalltau, rankdata
from simulated import autoregressive

from benchpaper.analysis import independence

# --- published worked examples ---------------------------------------------------------------


def test_drift_published():
    # Hollander & Wolfe (1973), p. 187: lightness of tuna, and how a panel liked it; one-sided p of
    # R's cor.test
    lightness, panel = (
        [44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1],
        [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8],
    )
    by_lightness = np.array(panel)[np.argsort(lightness)]
    assert independence.drift(by_lightness).p_value / 2 == pytest.approx(0.05972, abs=5e-6)


@pytest.mark.parametrize(
    "values, normalised",
    [
        # Gibbons & Chakraborti, Nonparametric Statistical Inference, example 5.1: tourists,
        # 1970-1982
        (
            [
                12362,
                12739,
                13057,
                13955,
                14123,
                15698,
                17523,
                18610,
                19842,
                20310,
                22500,
                23080,
                21916,
            ],
            -3.6453,
        ),
        # Bartels, JASA 77 (1982) 40-46: changes in stock levels, Australia
        ([528, 348, 264, -20, -167, 575, 410, -4, 430, -122], 0.0834),
    ],
)
def test_rank_von_neumann_ratio_published(values, normalised):
    n = len(values)
    deviation = np.sqrt(4 * (n - 2) * (5 * n**2 - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2))
    check = independence.lag1(values)
    assert (check.statistic - 2) / deviation == pytest.approx(normalised, abs=5e-5)
    assert check.p_value == pytest.approx(ndtr(normalised), abs=0.01)


# --- all orders, and other implementations ---------------------------------------------------


@pytest.mark.parametrize(
    "values", [[1, 2, 3, 4, 5], [3, 1, 2, 5, 4, 6], [1, 1, 2, 3, 3, 5], [2, 7, 1, 8, 2, 8, 1]]
)
def test_tests_for_order_by_enumeration(values):
    orders = np.array(list(permutations(rankdata(values))))
    unlikeness = np.square(np.diff(orders, axis=1)).sum(axis=1)
    trend = np.abs(
        sum(
            np.sign(orders[:, j] - orders[:, i])
            for i in range(len(values))
            for j in range(i + 1, len(values))
        )
    )
    observed = 0  # permutations() starts with the order given
    assert independence.lag1(values).p_value == pytest.approx(
        (unlikeness <= unlikeness[observed]).mean()
    )
    assert independence.drift(values).p_value == pytest.approx((trend >= trend[observed]).mean())


def test_drift_by_permutation_agrees_with_the_exact_distribution():
    values = np.random.default_rng(3).normal(size=20) + np.linspace(0, 1.5, 20)
    exact = independence.drift(values)
    tied = independence.drift(np.append(values, values[10]))  # a tie sends it to permutations
    assert exact.method.endswith("exact") and tied.method.endswith("9,999 permutations")
    assert tied.p_value == pytest.approx(
        kendalltau(np.arange(21), np.append(values, values[10])).pvalue, abs=0.02
    )
    assert independence.lag1(values) == independence.lag1(values)  # seeded


# --- what they find, by simulation -----------------------------------------------------------


def drifting(rng, shape):
    """Speed changes during the run by four standard deviations of the blocks."""
    return np.exp(rng.normal(0, 0.3, shape) + np.linspace(-0.6, 0.6, shape[1]))


def paired_ratios(rng, shape):
    """Drift and correlation that hit both cells of a block alike, then noise of each."""
    block = np.log(autoregressive(0.8)(rng, shape)) + np.linspace(0, 3, shape[1])
    a, b = (np.exp(block + rng.normal(0, 0.1, shape)) for _ in range(2))
    return a / b


@pytest.mark.parametrize("n", [5, 10, 20, 30])
def test_correlated_rejects_few_independent_runs(n):
    values = np.random.default_rng(n).lognormal(size=(400, n))
    assert np.mean([independence.correlated(row) is not None for row in values]) <= 0.12


@pytest.mark.parametrize(
    "draw, n, at_least, at_most",
    [
        (autoregressive(0.8), 30, 0.95, 1.0),
        (autoregressive(0.5), 30, 0.70, 0.90),
        (autoregressive(0.5), 10, 0.25, 0.45),  # the test is no safeguard at 10 blocks
        (drifting, 10, 0.8, 1.0),
        (paired_ratios, 20, 0.0, 0.12),
    ],
)
def test_correlated_finds_what_it_promises_and_no_more(draw, n, at_least, at_most):
    values = draw(np.random.default_rng(n), (300, n))
    assert (
        at_least <= np.mean([independence.correlated(row) is not None for row in values]) <= at_most
    )


def test_correlated_says_why():
    assert independence.correlated(np.arange(1, 16)) == "the 15 blocks drift"
    there_and_back = [1, 2, 3, 4, 5, 6, 7, 8, 8.5, 7.5, 6.5, 5.5, 4.5, 3.5, 2.5, 1.5]
    assert independence.correlated(there_and_back) == "the 16 blocks resemble their neighbours"


# --- rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4])
def test_below_five_blocks_nothing_can_be_tested(n):
    for test in (independence.drift, independence.lag1, independence.correlated):
        with pytest.raises(ValueError, match="at least 5 values"):
            test([2.0] * n)


@pytest.mark.parametrize("n", [5, 40])
def test_a_constant_has_no_order(n):
    assert independence.correlated([3.1] * n) is None
