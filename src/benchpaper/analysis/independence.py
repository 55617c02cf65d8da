"""Tests whether blocks are independent: for drift, and for likeness of neighbours.

Both take a 1-D array with one value per block, in the order of measuring. They look at ranks only,
so unit and scale do not matter. A warning follows from them, not a verdict: `drifting` says how
verdicts on levels hold through drift. In a paired ratio, effects of a block on both cells cancel.

scipy.stats takes half a second to import, so functions import it on use.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from benchpaper.analysis.arrays import FloatArray, checked
from benchpaper.analysis.stats import MIN_BLOCKS

SIGNIFICANCE = 0.05
"""Of each test in `correlated`; together they reject at most 10 % of independent blocks."""

PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Check:
    """A test of blocks for order: its statistic, its p-value, and the method behind the p-value."""

    statistic: float
    p_value: float
    method: str


def drift(values: ArrayLike) -> Check:
    """Test n >= 5 blocks for a trend, two-sided: Kendall's tau of value and position.

    Mann, Econometrica 13 (1945) 245-259. The p-value is exact up to 33 blocks, and a normal
    approximation above. With ties, it comes from 9,999 seeded permutations, or from all of them up
    to 7 blocks.
    """
    from scipy.stats import kendalltau, rankdata

    values = checked(values, "values", least=MIN_BLOCKS)
    n = len(values)
    if np.ptp(values) == 0:
        return Check(0.0, 1.0, "constant")
    trend = kendalltau(np.arange(n), values)
    if len(set(values)) == n:
        how = "exact" if n <= 33 else "normal approximation"
        return Check(float(trend.statistic), float(trend.pvalue), f"Mann-Kendall, {how}")
    earlier, later = np.triu_indices(n, 1)

    def strength(order: FloatArray, axis: int = -1) -> FloatArray:
        signs = np.sign(order[..., later] - order[..., earlier])
        return np.asarray(np.abs(signs.sum(axis=-1)), dtype=float)

    p_value, how = _permuted(rankdata(values), strength)
    return Check(float(trend.statistic), p_value, f"Mann-Kendall, {how}")


def lag1(values: ArrayLike) -> Check:
    """Test n >= 5 blocks for likeness of neighbours, one-sided: the rank von Neumann ratio.

    The ratio is about 2 for independent blocks and small for positively correlated ones. (Negative
    correlation only makes intervals too wide.) Bartels, JASA 77 (1982) 40-46. The p-value comes
    from all permutations up to 7 blocks, and from 9,999 seeded ones above.
    """
    from scipy.stats import rankdata

    values = checked(values, "values", least=MIN_BLOCKS)
    if np.ptp(values) == 0:
        return Check(2.0, 1.0, "constant")
    ranks = rankdata(values)
    scale = np.square(ranks - ranks.mean()).sum()

    def likeness(order: FloatArray, axis: int = -1) -> FloatArray:
        return np.asarray(-np.square(np.diff(order, axis=-1)).sum(axis=-1))

    p_value, how = _permuted(ranks, likeness)
    return Check(float(-likeness(ranks) / scale), p_value, f"rank von Neumann ratio, {how}")


def correlated(values: ArrayLike) -> str | None:
    """Return in what blocks depend on each other, for a warning; None without evidence of it.

    Drift and lag-1 correlation are each tested at 5 %, which rejects 5-9 % of independent runs.
    None proves little: of runs with a correlation of 0.5, the tests reject a third at 10 blocks,
    and 80 % at 30. So no verdict rests on it (see `drifting`). Needs n >= 5 blocks.
    """
    n = len(np.asarray(values))
    for name, check in (("drift", drift(values)), ("resemble their neighbours", lag1(values))):
        if check.p_value <= SIGNIFICANCE:
            return f"the {n} blocks {name}"
    return None


def _permuted(
    ranks: FloatArray, statistic: Callable[[FloatArray, int], FloatArray]
) -> tuple[float, str]:
    """Return the share of orders of `ranks` with at least their statistic, and the method."""
    from scipy.stats import permutation_test

    result = permutation_test(
        (ranks,),
        statistic,
        permutation_type="pairings",
        alternative="greater",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=1_000,
        rng=np.random.default_rng(0),
    )
    seen = len(result.null_distribution)
    every = "all " if seen < PERMUTATIONS else ""
    return float(result.pvalue), f"{every}{seen:,} permutations"
