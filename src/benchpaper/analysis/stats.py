"""Intervals over blocks, paired ratios, tails, rates and the noise floor.

Every function is pure and takes 1-D arrays with one value per block (in block order) unless it
says otherwise. Times, rates and sizes are compared on the log scale, where a factor is a
difference, and handed back in the unit they came in.

Intervals are Hettmansperger-Sheather intervals for a median. In simulation they cover 93-96 % at
5 to 30 blocks, also for skewed values and with outlier blocks; what they cover is the median of
the blocks as they came, disturbed ones included. Correlated blocks defeat them for levels
(90 % at a lag-1 correlation of 0.2, 80 % at 0.5, at any number of blocks), not for paired ratios;
`benchpaper.analysis.independence` looks for it. Drift by more than one standard deviation of the blocks
makes intervals for levels too wide (97-100 %).

scipy.stats takes half a second to import, and is imported only where it is used.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, exp, expm1, hypot, isfinite, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

MIN_BLOCKS = 5
"""Below this many blocks no interval for a median reaches 93 %, and nothing gets a verdict."""

CONFIDENCE = 0.95

MIN_BEYOND = 10
"""Samples that a trial needs beyond a quantile: 1,000 in all for p99, 10,000 for p99.9."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval, in the unit of the values it was made from.

    `low` and `high` are None where there are too few values for an interval. `confidence` is the
    one attained, which at 5 blocks is 0.9375 and not the 0.95 that was asked for.
    """

    estimate: float
    low: float | None
    high: float | None
    n: int
    confidence: float | None
    method: str

    def __post_init__(self):
        ends = [] if self.low is None and self.high is None else [self.low, self.high]
        if not all(end is not None and isfinite(end) for end in [self.estimate, *ends]):
            raise ValueError(
                f"{self} is not finite; use values within the range of a double, in another unit if need be"
            )
        if ends and not self.low <= self.high:
            raise ValueError(f"{self} has its ends the wrong way round; pass the smaller as low")

    @property
    def decidable(self) -> bool:
        """Whether there is an interval, so that a verdict is possible."""
        return self.low is not None


@dataclass(frozen=True)
class NoiseFloor:
    """The largest difference between identical cells that a run cannot exclude.

    `delta` is on the log scale, and None below 5 blocks. `interval` is that of the ratio A/A'.
    `biased` says that two identical cells differ, so nothing else can be believed: the interval excludes 1, at a
    confidence that is raised (Bonferroni) where identical cells are looked at in several metrics.
    """

    delta: float | None
    interval: Interval
    biased: bool

    @property
    def smallest_difference(self) -> float | None:
        """The smallest relative difference worth believing: 0.03 means 3 %."""
        return None if self.delta is None else expm1(self.delta)


def order_weights(n: int, confidence: float = CONFIDENCE) -> tuple[int, float, float]:
    """Which order statistics bound the median of n values: (k, lambda, attained confidence).

    The lower end lies lambda of the way from the k-th smallest value to the next, the upper end
    mirrors it. Where even minimum and maximum do not attain the confidence, they are the ends.
    Hettmansperger & Sheather, Statistics & Probability Letters 4 (1986) 75-79. The same as
    scipy.stats.mstats.median_cihs, which however indexes out of its range where n is that small.
    """
    if n < 2:
        raise ValueError(f"{n} values have no interval; pass at least 2")
    _check_share(confidence, "confidence")

    k, outer = 0, 1.0  # an order statistic, and the coverage of the interval it bounds
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


def median_and_ends(values: ArrayLike, *, logs: bool = False, confidence: float = CONFIDENCE):
    """Median, lower end and upper end along the last axis; `values` may have any shape (..., n).

    With `logs`, what is found between two order statistics is found on the log scale; an order
    statistic itself comes back exactly, so that a constant is its own interval.
    """
    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)
    n = ordered.shape[-1]
    k, weight, _ = order_weights(n, confidence)

    def between(rank, neighbour, weight):
        x, y = ordered[..., rank - 1], ordered[..., neighbour - 1]
        with np.errstate(over="ignore", invalid="ignore"):  # Interval rejects what overflows
            found = x * (y / x) ** weight if logs else x + weight * (y - x)
        inside = np.clip(
            found, np.minimum(x, y), np.maximum(x, y)
        )  # rounding must not swap the ends
        return np.where(np.isfinite(found), inside, found)

    return (
        between((n + 1) // 2, n // 2 + 1, 0.5),
        between(k, k + 1, weight),
        between(n + 1 - k, n - k, weight),
    )


def median_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """The median of n >= 1 values on their own scale, with its 95 % interval from 5 values on."""
    return _median_interval(checked(values, "values"), logs=False, confidence=confidence)


def level(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """The median over blocks of the log of positive values, handed back in their own unit."""
    return _median_interval(
        checked(values, "values", positive=True), logs=True, confidence=confidence
    )


def paired_ratio(a: ArrayLike, b: ArrayLike) -> Interval:
    """The median over blocks of a/b on the log scale; a[i] and b[i] come from the same block.

    What a block does to both cells alike cancels, so that drift and correlation do no harm.
    """
    a, b = checked(a, "a", positive=True), checked(b, "b", positive=True)
    _same_length(a, b, "a and b")
    with np.errstate(over="ignore", under="ignore"):
        return _median_interval(a / b, logs=True)


def independent_ratio(a: ArrayLike, b: ArrayLike) -> Interval:
    """The ratio of the levels of two independent sets of blocks, of two runs or two sites, say.

    The log of the ratio is a difference, and its interval reaches as far on each side as the two
    levels' intervals do together, in squares: Zou & Donner, Statistics in Medicine 27 (2008)
    1693-1702. In simulation it covers 94-98 % from 5 blocks on, also for sets of unlike size and
    noise. `n` is the smaller number of blocks.
    """
    a, b = level(checked(a, "a", positive=True)), level(checked(b, "b", positive=True))
    n, ratio = min(a.n, b.n), a.estimate / b.estimate
    if not (a.decidable and b.decidable):
        return Interval(
            ratio, None, None, n, None, f"ratio of levels; no interval below {MIN_BLOCKS} blocks"
        )
    down = hypot(log(a.estimate / a.low), log(b.high / b.estimate))
    up = hypot(log(a.high / a.estimate), log(b.estimate / b.low))
    attained = min(a.confidence, b.confidence)
    return Interval(
        ratio, ratio * exp(-down), ratio * exp(up), n, attained, "ratio of levels, Zou-Donner"
    )


def noise_floor(a: ArrayLike, a2: ArrayLike, looks: int = 1) -> NoiseFloor:
    """The noise floor from one cell measured twice per block, under two names. `looks` is the number of metrics in
    which the two are compared: any of them may exclude 1 by chance, so all together do so in one run of twenty."""
    interval = paired_ratio(a, a2)
    if not interval.decidable:
        return NoiseFloor(None, interval, biased=False)
    return NoiseFloor(
        delta=max(abs(log(interval.low)), abs(log(interval.high))),
        interval=interval,
        biased=_differ(np.asarray(a, float) / np.asarray(a2, float), looks),
    )


def _differ(ratios: np.ndarray, looks: int) -> bool:
    """Whether ratios of identical cells exclude 1. Five blocks attain no more than 93.75 %, enough for a single
    look."""
    confidence = 1 - (1 - CONFIDENCE) / looks
    interval = level(ratios, confidence)
    attained = looks == 1 or interval.confidence >= confidence - 1e-12
    return attained and not interval.low <= 1 <= interval.high


def blocks_needed(values: ArrayLike, half_width: float) -> int:
    """How many blocks bring the interval of `level` within a factor e^(+-half_width).

    `half_width` is on the log scale, so 0.05 is about 5 %; `values` are from at least 5 blocks.
    From the median absolute deviation, hence rough: within a factor of 2 of the truth in 4 of 10
    pilots with 5 blocks, 6 of 10 with 10, 9 of 10 with 30. Fix the number before measuring;
    intervals from measuring until they look narrow cover 91-94 %.
    """
    values = checked(values, "values", positive=True, least=MIN_BLOCKS)
    if not (isfinite(half_width) and half_width > 0):
        raise ValueError(f"half_width is {half_width}, not positive; pass 0.05 for about 5 %")
    logs = np.log(values)
    spread = 1.4826 * np.median(np.abs(logs - np.median(logs)))
    return max(MIN_BLOCKS, ceil((2.46 * spread / half_width) ** 2))


def quantile(values: ArrayLike, q: float, counts: ArrayLike | None = None) -> float:
    """The smallest value that at least a share q of the samples does not exceed.

    Definition 1 of Hyndman & Fan, The American Statistician 50 (1996) 361-365: the inverted_cdf
    of numpy, but with the rank in whole numbers, for 0.07 * 100 is above 7 in floating point
    (numpy #22582). `counts` says how often each value occurred (a histogram).
    """
    values = checked(values, "values")
    _check_share(q, "q")
    if counts is None:
        rank = _rank(len(values), q)
        return float(np.partition(values, rank - 1)[rank - 1])
    counts = np.asarray(counts)
    _same_length(values, counts, "values and counts")
    if counts.dtype.kind not in "iu" or (counts < 0).any() or not counts.any():
        raise ValueError(
            "counts are not whole, non-negative and somewhere positive; pass how often each value occurred"
        )
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(cumulative, _rank(int(cumulative[-1]), q))])


def _exact(q: float) -> Fraction:
    """The share that was meant by its nearest double: 7/100 by 0.07, 5/9 by 0.5555555555555556."""
    ratio = Fraction(float(q)).limit_denominator(10**6)
    return ratio if float(ratio) == q else Fraction(repr(float(q)))


def _rank(n: int, q: float) -> int:
    """Which of n values in ascending order, from 1, is the q-quantile."""
    return max(1, ceil(n * _exact(q)))


def quantile_name(q: float) -> str:
    """`p99` for 0.99."""
    return f"p{float(100 * _exact(q)):.12g}"


def tail_allowed(n_samples: ArrayLike, q: float) -> str | None:
    """Why the q-quantile of trials with so many samples may not be shown; None if it may.

    `n_samples` is one number, or one for each trial of the cells that are compared. A sample
    quantile is biased by its sample size, so those must agree.
    """
    sizes = checked(np.atleast_1d(n_samples), "n_samples")
    _check_share(q, "q")
    if q == 1:
        return "a maximum grows with the number of samples, and has no interval"
    name, needed = quantile_name(q), ceil(MIN_BEYOND / (1 - _exact(q)))
    if sizes.min() < needed:
        return f"{name} needs {needed:,} samples in each trial; the smallest trial has {sizes.min():,.0f}"
    if sizes.min() != sizes.max():
        return (
            f"{name} is compared only between trials of one size; "
            f"these have {sizes.min():,.0f} to {sizes.max():,.0f} samples"
        )
    return None


def rank_agreement(x: ArrayLike, y: ArrayLike) -> Interval:
    """Kendall's tau-b between two measurements of the same n >= 2 things, with a 95 % interval.

    The interval is of Wilson's kind: the tau at which the observed one would be 1.96 standard
    deviations off, its variance taken as 2(2n + 5)/(9n(n - 1)) (Kendall, Biometrika 30 (1938)
    81-93) times 1 - tau^2. Unlike Fieller's or the jackknife's it keeps a width at perfect
    agreement. It covers 94-100 % for bivariate normal values, the more the stronger the agreement,
    and 91-100 % for heavy-tailed ones (t with 3 degrees of freedom).
    """
    from scipy.stats import kendalltau

    x, y = checked(x, "x", least=2), checked(y, "y", least=2)
    _same_length(x, y, "x and y")
    n = len(x)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError(
            f"all {n} values of {'x' if np.ptp(x) == 0 else 'y'} are equal and have no ranks; "
            "pass at least 2 different ones"
        )
    tau = float(kendalltau(x, y).statistic)
    if n < MIN_BLOCKS:
        return Interval(
            tau, None, None, n, None, f"Kendall's tau-b; no interval below {MIN_BLOCKS} values"
        )
    v = _z() ** 2 * 2 * (2 * n + 5) / (9 * n * (n - 1))
    reach = sqrt(v * max(0.0, 1 - tau**2 + v))
    low, high = max(-1.0, (tau - reach) / (1 + v)), min(1.0, (tau + reach) / (1 + v))
    return Interval(
        tau, min(low, tau), max(high, tau), n, CONFIDENCE, "Kendall's tau-b, score interval"
    )


def wilson(k: int, n: int) -> Interval:
    """The rate k/n of k events in n independent tries. Wilson, JASA 22 (1927) 209-212."""
    whole = all(
        isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in (k, n)
    )
    if not whole or n < 1 or not 0 <= k <= n:
        raise ValueError(
            f"{k} of {n} is not a rate; pass whole numbers with 0 <= k <= n and n >= 1"
        )
    k, n = int(k), int(n)
    z = _z()
    centre, reach = k + z**2 / 2, z * sqrt(k * (n - k) / n + z**2 / 4)
    low = 0.0 if k == 0 else (centre - reach) / (n + z**2)
    high = 1.0 if k == n else (centre + reach) / (n + z**2)
    return Interval(k / n, low, high, n, CONFIDENCE, "Wilson")


def _median_interval(values: np.ndarray, logs: bool, confidence: float = CONFIDENCE) -> Interval:
    scale = "median of logs" if logs else "median"
    n = len(values)
    if n < MIN_BLOCKS:
        middle = values if n == 1 else median_and_ends(values, logs=logs)
        return Interval(
            float(middle[0]), None, None, n, None, f"{scale}; no interval below {MIN_BLOCKS} blocks"
        )
    estimate, low, high = (
        float(end) for end in median_and_ends(values, logs=logs, confidence=confidence)
    )
    return Interval(
        estimate, low, high, n, order_weights(n, confidence)[2], f"{scale}, Hettmansperger-Sheather"
    )


def _z() -> float:
    return NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def checked(values: ArrayLike, name: str, positive: bool = False, least: int = 1) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.size < least:
        raise ValueError(
            f"{name} has shape {array.shape}; pass a 1-D array of at least {least} values"
        )
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} holds {array.dtype}, which is not numeric; convert it to numbers")
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        raise ValueError(
            f"{name}[{wrong[0]}] is {array[wrong[0]]}, not a finite number; leave failed trials out, and say so"
        )
    wrong = np.flatnonzero(array <= 0)
    if positive and wrong.size:
        raise ValueError(
            f"{name}[{wrong[0]}] is {array[wrong[0]]}, and only positive values have logs; "
            "use wilson() for rates and median_interval() for differences"
        )
    return array.astype(float)


def _same_length(a: np.ndarray, b: np.ndarray, names: str):
    if a.shape != b.shape:
        raise ValueError(
            f"{names} have shapes {a.shape} and {b.shape}; pass them pairwise, in the same order"
        )


def _check_share(share: float, name: str):
    if not 0 <= share <= 1:
        raise ValueError(f"{name} is {share}, not between 0 and 1; pass 0.99 for 99 %")
