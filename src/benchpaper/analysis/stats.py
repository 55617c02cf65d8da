"""Intervals over blocks, paired ratios, rates, rank agreement, and the noise floor.

Every function is pure. It takes 1-D arrays with one value per block, in the order of the blocks,
unless its docstring says otherwise. Times, rates, and sizes are compared on the log scale, where a
factor is a difference, and returned in their own unit.

Intervals are Hettmansperger-Sheather intervals for a median. In simulation they cover 93-96 % at
5 to 30 blocks, also with skewed values and outlier blocks; they cover the median of the blocks as
measured, disturbed ones included. Correlated blocks break them for levels (90 % at a lag-1
correlation of 0.2, 80 % at 0.5, at any number of blocks), not for paired ratios;
`benchpaper.analysis.independence` tests for correlation. Drift by more than one standard deviation
of the blocks makes intervals for levels too wide (97-100 %).

scipy.stats takes half a second to import, so functions import it on use.
"""

from dataclasses import dataclass
from math import ceil, exp, expm1, hypot, isfinite, log, sqrt
from statistics import NormalDist
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from benchpaper.analysis.arrays import FloatArray, check_same_length, check_share, checked
from benchpaper.analysis.quantiles import MIN_BEYOND as MIN_BEYOND
from benchpaper.analysis.quantiles import quantile as quantile
from benchpaper.analysis.quantiles import quantile_name as quantile_name
from benchpaper.analysis.quantiles import tail_allowed as tail_allowed

MIN_BLOCKS = 5
"""Below this many blocks no interval for a median reaches 93 %, and no claim gets a verdict."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval, in the unit of the values.

    `confidence` is the attained one: at 5 blocks 0.9375, not the requested 0.95.
    """

    estimate: float
    low: float
    high: float
    n: int
    confidence: float
    method: str
    decidable: ClassVar[Literal[True]] = True

    def __post_init__(self) -> None:
        if not all(map(isfinite, (self.estimate, self.low, self.high))):
            raise _not_finite(self)
        if not self.low <= self.high:
            raise ValueError(f"{self} has its ends the wrong way round; pass the smaller as low")


@dataclass(frozen=True)
class PointEstimate:
    """An estimate from too few values for an interval; it decides nothing."""

    estimate: float
    n: int
    method: str
    low: ClassVar[None] = None
    high: ClassVar[None] = None
    confidence: ClassVar[None] = None
    decidable: ClassVar[Literal[False]] = False

    def __post_init__(self) -> None:
        if not isfinite(self.estimate):
            raise _not_finite(self)


MaybeInterval: TypeAlias = Interval | PointEstimate


def _not_finite(estimate: MaybeInterval) -> ValueError:
    return ValueError(
        f"{estimate} is not finite; "
        "use values within the range of a double, in another unit if need be"
    )


@dataclass(frozen=True)
class NoiseFloor:
    """The largest difference between identical cells that a run cannot exclude.

    `delta` is on the log scale, and None below 5 blocks. `interval` is that of the ratio A/A'.
    `biased` means that two identical cells differ, so no result can be believed: the interval
    excludes 1, at a confidence raised (Bonferroni) to the number of metrics that are compared.
    """

    delta: float | None
    interval: MaybeInterval
    biased: bool

    @property
    def smallest_difference(self) -> float | None:
        """The smallest relative difference worth believing: 0.03 means 3 %."""
        return None if self.delta is None else expm1(self.delta)


def order_weights(n: int, confidence: float = CONFIDENCE) -> tuple[int, float, float]:
    """Return which order statistics bound the median of n values: (k, lambda, attained confidence).

    The lower end lies lambda of the way from the k-th smallest value to the next; the upper end
    mirrors it. Where even minimum and maximum do not attain the confidence, they are the ends.

    Hettmansperger & Sheather, Statistics & Probability Letters 4 (1986) 75-79. This equals
    scipy.stats.mstats.median_cihs, which however indexes out of its range at such a small n.
    """
    if n < 2:
        raise ValueError(f"{n} values have no interval; pass at least 2")
    check_share(confidence, "confidence")

    k, outer = 0, 1.0  # an order statistic, and the coverage of the interval that it bounds
    below, term = 0, 1  # 2^n P(Bin(n, 1/2) <= k), and its last term, in whole numbers
    while True:
        below += term
        inner = 1 - 2 * below / 2**n
        if inner < confidence:
            break
        term = term * (n - k) // (k + 1)
        k, outer = k + 1, inner
    if k == 0:
        return 1, 0.0, inner
    share = (outer - confidence) / (outer - inner)
    return k, (n - k) * share / (k + (n - 2 * k) * share), confidence


def median_and_ends(
    values: ArrayLike, *, logs: bool = False, confidence: float = CONFIDENCE
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return median, lower end, and upper end along the last axis of `values`, of any shape.

    `logs` interpolates between two order statistics on the log scale. An order statistic itself
    comes back exactly, so that a constant is its own interval.
    """
    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)
    n = ordered.shape[-1]
    k, weight, _ = order_weights(n, confidence)

    def between(rank: int, neighbour: int, weight: float) -> FloatArray:
        x, y = ordered[..., rank - 1], ordered[..., neighbour - 1]
        with np.errstate(over="ignore", invalid="ignore"):  # Interval rejects what overflows
            mixed = x * (y / x) ** weight if logs else x + weight * (y - x)
        # Rounding must not swap the ends.
        inside = np.clip(mixed, np.minimum(x, y), np.maximum(x, y))
        return np.asarray(np.where(np.isfinite(mixed), inside, mixed))

    return (
        between((n + 1) // 2, n // 2 + 1, 0.5),
        between(k, k + 1, weight),
        between(n + 1 - k, n - k, weight),
    )


def median_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> MaybeInterval:
    """Return the median of n >= 1 values on their own scale, with its interval from n = 5 on."""
    return _median_interval(checked(values, "values"), logs=False, confidence=confidence)


def level(values: ArrayLike, confidence: float = CONFIDENCE) -> MaybeInterval:
    """Return the median over blocks of the log of positive values, in their own unit."""
    return _median_interval(
        checked(values, "values", positive=True), logs=True, confidence=confidence
    )


def paired_ratio(a: ArrayLike, b: ArrayLike) -> MaybeInterval:
    """Return the median over blocks of a/b on the log scale; a[i] and b[i] share a block.

    Effects of a block on both cells cancel, so drift and correlation do no harm.
    """
    a, b = checked(a, "a", positive=True), checked(b, "b", positive=True)
    check_same_length(a, b, "a and b")
    with np.errstate(over="ignore", under="ignore"):
        return _median_interval(a / b, logs=True)


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


def noise_floor(a: ArrayLike, a2: ArrayLike, looks: int = 1) -> NoiseFloor:
    """Return the noise floor from one cell that each block measures twice.

    `looks` is the number of metrics that compare the two. In each, 1 may be excluded by chance;
    in all together, that happens in one run of twenty.
    """
    interval = paired_ratio(a, a2)
    if not interval.decidable:
        return NoiseFloor(None, interval, biased=False)
    return NoiseFloor(
        delta=max(abs(log(interval.low)), abs(log(interval.high))),
        interval=interval,
        biased=_differ(np.asarray(a, float) / np.asarray(a2, float), looks),
    )


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


def _median_interval(
    values: FloatArray, logs: bool, confidence: float = CONFIDENCE
) -> MaybeInterval:
    scale = "median of logs" if logs else "median"
    n = len(values)
    if n < MIN_BLOCKS:
        middle = values if n == 1 else median_and_ends(values, logs=logs)
        return PointEstimate(float(middle[0]), n, f"{scale}; no interval below {MIN_BLOCKS} blocks")
    estimate, low, high = (
        float(end) for end in median_and_ends(values, logs=logs, confidence=confidence)
    )
    return Interval(
        estimate, low, high, n, order_weights(n, confidence)[2], f"{scale}, Hettmansperger-Sheather"
    )
