"""Intervals over blocks, paired ratios, rates, rank agreement, and the noise floor.

Every function is pure. It takes 1-D arrays with one value per block, in the order of the blocks,
unless its docstring says otherwise. Times, rates, and sizes are compared on the log scale, where a
factor is a difference, and returned in their own unit. `intervals` says how often they cover.
Values that are not finite, too few, or not positive where a logarithm is taken raise `ValueError`.

scipy.stats takes half a second to import, so functions import it on use.
"""

from dataclasses import dataclass
from math import ceil, exp, expm1, hypot, isfinite, log, sqrt
from statistics import NormalDist
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from benchpaper.analysis import intervals
from benchpaper.analysis.arrays import FloatArray, check_same_length, checked
from benchpaper.analysis.intervals import CONFIDENCE as CONFIDENCE
from benchpaper.analysis.intervals import MIN_BLOCKS as MIN_BLOCKS
from benchpaper.analysis.intervals import Interval as Interval
from benchpaper.analysis.intervals import MaybeInterval as MaybeInterval
from benchpaper.analysis.intervals import PointEstimate as PointEstimate
from benchpaper.analysis.intervals import level as level
from benchpaper.analysis.intervals import median_and_ends as median_and_ends
from benchpaper.analysis.intervals import median_interval as median_interval
from benchpaper.analysis.intervals import order_weights as order_weights
from benchpaper.analysis.quantiles import MIN_BEYOND as MIN_BEYOND
from benchpaper.analysis.quantiles import quantile as quantile
from benchpaper.analysis.quantiles import quantile_name as quantile_name
from benchpaper.analysis.quantiles import tail_allowed as tail_allowed


@dataclass(frozen=True)
class NoiseFloor:
    """The largest difference between identical cells that a run cannot exclude.

    `delta` is on the log scale. `interval` is that of the ratio A/A'. `biased` means that two
    identical cells differ, so no result can be believed: the interval excludes 1, at a confidence
    raised (Bonferroni) to the number of metrics that are compared. `cell` is the noisiest real
    cell, if no twin decided.
    """

    delta: float
    interval: Interval
    biased: bool
    cell: str = ""
    known: ClassVar[Literal[True]] = True

    @property
    def smallest_difference(self) -> float:
        """The smallest relative difference worth believing: 0.03 means 3 %."""
        return expm1(self.delta)


@dataclass(frozen=True)
class UnknownNoiseFloor:
    """The ratio A/A' of identical cells over too few blocks for a noise floor."""

    interval: PointEstimate
    known: ClassVar[Literal[False]] = False


MaybeFloor: TypeAlias = NoiseFloor | UnknownNoiseFloor


def paired_ratio(a: ArrayLike, b: ArrayLike) -> MaybeInterval:
    """Return the median over blocks of a/b on the log scale; a[i] and b[i] share a block.

    Effects of a block on both cells cancel, so drift and correlation do no harm.
    """
    a, b = checked(a, "a", positive=True), checked(b, "b", positive=True)
    check_same_length(a, b, "a and b")
    with np.errstate(over="ignore", under="ignore"):
        return intervals.of_median(a / b, logs=True)


def independent_ratio(a: ArrayLike, b: ArrayLike) -> MaybeInterval:
    """Return the ratio of the levels of two independent sets of blocks, such as two sites.

    The log of the ratio is a difference. On each side, its interval reaches as far as the
    intervals of the two levels do together, in squares: Zou & Donner, Statistics in Medicine 27
    (2008) 1693-1702. In simulation it covers 94-98 % from 5 blocks on, also for sets that differ
    in size and noise. `n` is the smaller number of blocks.
    """
    above, below = level(checked(a, "a", positive=True)), level(checked(b, "b", positive=True))
    n, ratio = min(above.n, below.n), above.estimate / below.estimate
    if not (above.decidable and below.decidable):
        return PointEstimate(ratio, n, f"ratio of levels; no interval below {MIN_BLOCKS} blocks")
    down = hypot(log(above.estimate / above.low), log(below.high / below.estimate))
    up = hypot(log(above.high / above.estimate), log(below.estimate / below.low))
    attained = min(above.confidence, below.confidence)
    return Interval(
        ratio, ratio * exp(-down), ratio * exp(up), n, attained, "ratio of levels, Zou-Donner"
    )


def noise_floor(a: ArrayLike, a2: ArrayLike, looks: int = 1) -> MaybeFloor:
    """Return the noise floor from one cell that each block measures twice.

    `looks` is the number of metrics that compare the two. In each, 1 may be excluded by chance;
    in all together, that happens in one run of twenty.
    """
    interval = paired_ratio(a, a2)
    if not interval.decidable:
        return UnknownNoiseFloor(interval)
    return NoiseFloor(
        delta=max(abs(log(interval.low)), abs(log(interval.high))),
        interval=interval,
        biased=_differ(np.asarray(a, float) / np.asarray(a2, float), looks),
    )


def neighbour_floor(values: ArrayLike) -> MaybeFloor:
    """Return the noise floor of one cell, from its values in the order of measuring.

    Each block is a twin of the one after it, and the last of the first, so that a cell that was
    measured once in each block stands for two identical ones. A steady drift adds little: all
    these ratios but one hold a single step of it. Nothing is known of a bias.
    """
    values = checked(values, "values", positive=True)
    with np.errstate(over="ignore", under="ignore"):
        interval = intervals.of_median(values / np.roll(values, -1), logs=True)
    if not interval.decidable:
        return UnknownNoiseFloor(interval)
    return NoiseFloor(max(abs(log(interval.low)), abs(log(interval.high))), interval, False)


def _differ(ratios: FloatArray, looks: int) -> bool:
    """Whether ratios of identical cells exclude 1; needs at least 5 blocks.

    Five blocks attain no more than 93.75 %, which is enough for a single look.
    """
    confidence = 1 - (1 - CONFIDENCE) / looks
    interval = level(ratios, confidence)
    if not interval.decidable or (looks > 1 and interval.confidence < confidence - 1e-12):
        return False
    return not interval.low <= 1 <= interval.high


def blocks_needed(values: ArrayLike, half_width: float) -> int:
    """Return how many blocks bring the interval of `level` within a factor e^(+-half_width).

    `half_width` is on the log scale, so 0.05 is about 5 %; `values` are from at least 5 blocks.

    The answer is rough, as it rests on the median absolute deviation: within a factor of 2 of the
    truth in 4 of 10 pilots with 5 blocks, 6 of 10 with 10, 9 of 10 with 30. Fix the number before
    measuring; intervals from measuring until they look narrow cover 91-94 %.
    """
    values = checked(values, "values", positive=True, least=MIN_BLOCKS)
    if not (isfinite(half_width) and half_width > 0):
        raise ValueError(f"half_width is {half_width}, not positive; pass 0.05 for about 5 %")
    logs = np.log(values)
    spread = float(1.4826 * np.median(np.abs(logs - np.median(logs))))
    return max(MIN_BLOCKS, ceil((2.46 * spread / half_width) ** 2))


def rank_agreement(x: ArrayLike, y: ArrayLike) -> MaybeInterval:
    """Return Kendall's tau-b between two measurements of the same n >= 2 things, with an interval.

    The interval is of Wilson's kind: at its ends, the observed tau would be 1.96 standard
    deviations off, with the variance 2(2n + 5)/(9n(n - 1)) (Kendall, Biometrika 30 (1938) 81-93)
    times 1 - tau^2. Unlike Fieller's or the jackknife's it keeps a width at perfect agreement. It
    covers 94-100 % for bivariate normal values (more at stronger agreement), and 91-100 % for
    heavy-tailed ones (t with 3 degrees of freedom).
    """
    from scipy.stats import kendalltau

    x, y = checked(x, "x", least=2), checked(y, "y", least=2)
    check_same_length(x, y, "x and y")
    n = len(x)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError(
            f"all {n} values of {'x' if np.ptp(x) == 0 else 'y'} are equal and have no ranks; "
            "pass at least 2 different ones"
        )
    tau = float(kendalltau(x, y).statistic)
    if n < MIN_BLOCKS:
        return PointEstimate(tau, n, f"Kendall's tau-b; no interval below {MIN_BLOCKS} values")
    v = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2 * 2 * (2 * n + 5) / (9 * n * (n - 1))
    reach = sqrt(v * max(0.0, 1 - tau**2 + v))
    low, high = max(-1.0, (tau - reach) / (1 + v)), min(1.0, (tau + reach) / (1 + v))
    return Interval(
        tau, min(low, tau), max(high, tau), n, CONFIDENCE, "Kendall's tau-b, score interval"
    )


def wilson(k: int, n: int) -> Interval:
    """Return the rate k/n of k events in n independent tries. Wilson, JASA 22 (1927) 209-212."""
    whole = all(
        isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in (k, n)
    )
    if not whole or n < 1 or not 0 <= k <= n:
        raise ValueError(
            f"{k} of {n} is not a rate; pass whole numbers with 0 <= k <= n and n >= 1"
        )
    from scipy.stats import binomtest

    ends = binomtest(int(k), int(n)).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(
        int(k) / int(n), float(ends.low), float(ends.high), int(n), CONFIDENCE, "Wilson"
    )
