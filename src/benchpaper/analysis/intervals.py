"""Intervals for the median of values over blocks, on their own scale or on that of their logs.

These are Hettmansperger-Sheather intervals. In simulation they cover 93-96 % at 5 to 30 blocks,
also with skewed values and outlier blocks; they cover the median of the blocks as measured,
disturbed ones included. Correlated blocks break them for levels (90 % at a lag-1 correlation of
0.2, 80 % at 0.5, at any number of blocks), not for paired ratios. Drift by more than one standard
deviation of the blocks makes intervals too wide (97-100 %) for the level in the middle of the run,
and too narrow for those at its ends: see `drifting` for verdicts on levels.
"""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from benchpaper.analysis.arrays import FloatArray, check_share, checked

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
    return of_median(checked(values, "values"), logs=False, confidence=confidence)


def level(values: ArrayLike, confidence: float = CONFIDENCE) -> MaybeInterval:
    """Return the median over blocks of the log of positive values, in their own unit."""
    return of_median(checked(values, "values", positive=True), logs=True, confidence=confidence)


def of_median(values: FloatArray, *, logs: bool, confidence: float = CONFIDENCE) -> MaybeInterval:
    """Return the median of checked values, with its interval from n = 5 on."""
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
