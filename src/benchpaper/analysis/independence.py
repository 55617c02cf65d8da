"""Whether blocks are independent: two tests for order among them, drift and likeness of neighbours.

Both take a 1-D array with one value per block, in the order of measuring, and look at its ranks
alone, so that its unit and scale do not matter. Correlated blocks defeat the interval of a level;
a paired ratio does not mind what both cells of a block have in common.

scipy.stats takes half a second to import, and is imported only where it is used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from benchpaper.analysis.stats import MIN_BLOCKS, checked

SIGNIFICANCE = 0.05
"""Of each of the two tests in `correlated`; together they reject at most 10 % of independent blocks."""

PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Check:
    """A test of blocks for order: its statistic, its p-value, and how the p-value was found."""

    statistic: float
    p_value: float
    method: str


@dataclass(frozen=True)
class Flaw:
    """Why blocks are not independent enough: in short, and what explains it, which goes on from there."""

    short: str
    explained: str

    def __str__(self):
        return self.short + self.explained


def drift(values: ArrayLike) -> Check:
    """Two-sided test for a trend over n >= 5 blocks: Kendall's tau of value and position.

    Mann, Econometrica 13 (1945) 245-259. Exact up to 33 blocks, normal approximation above; with
    ties from 9,999 seeded permutations (all of them up to 7 blocks).
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

    def strength(order, axis=-1):
        return np.abs(np.sign(order[..., later] - order[..., earlier]).sum(axis=-1))

    p_value, how = _permuted(rankdata(values), strength)
    return Check(float(trend.statistic), p_value, f"Mann-Kendall, {how}")


def lag1(values: ArrayLike) -> Check:
    """One-sided test for likeness of neighbours among n >= 5 blocks: the rank von Neumann ratio.

    It is about 2 for independent blocks and small for positively correlated ones (negative
    correlation only makes intervals too wide). Bartels, JASA 77 (1982) 40-46. From all
    permutations up to 7 blocks, from 9,999 seeded ones above.
    """
    from scipy.stats import rankdata

    values = checked(values, "values", least=MIN_BLOCKS)
    if np.ptp(values) == 0:
        return Check(2.0, 1.0, "constant")
    ranks = rankdata(values)
    scale = np.square(ranks - ranks.mean()).sum()

    def likeness(order, axis=-1):
        return -np.square(np.diff(order, axis=-1)).sum(axis=-1)

    p_value, how = _permuted(ranks, likeness)
    return Check(float(-likeness(ranks) / scale), p_value, f"rank von Neumann ratio, {how}")


def correlated(values: ArrayLike) -> Flaw | None:
    """Why blocks are not independent enough for a level to get a verdict; None if no reason was found.

    Drift and lag-1 correlation are each tested at 5 %, which rejects 5-9 % of independent runs.
    None is weak comfort: of runs with a correlation of 0.5 it finds a third at 10 blocks, 80 % at 30.
    """
    if len(values) < MIN_BLOCKS:
        return Flaw(
            f"{len(values)} blocks are too few to test for drift",
            f"; at least {MIN_BLOCKS} are needed",
        )
    for name, check in (("drift", drift(values)), ("resemble their neighbours", lag1(values))):
        if check.p_value <= SIGNIFICANCE:
            return Flaw(
                f"the {len(values)} blocks {name}",
                f" ({check.method}: {check.statistic:.2f}, p = {check.p_value:.2g}, at most {SIGNIFICANCE:g}); "
                "no interval for a level holds then: compare in pairs, or measure on a quieter machine",
            )
    return None


def _permuted(ranks: np.ndarray, statistic) -> tuple[float, str]:
    """The share of orders of `ranks` whose statistic is at least as large as that of this order."""
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
    return float(
        result.pvalue
    ), f"all {seen:,} permutations" if seen < PERMUTATIONS else f"{seen:,} permutations"
