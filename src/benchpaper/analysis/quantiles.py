"""Quantiles of the samples of one trial, and whether a tail has enough samples to be shown."""

from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from benchpaper.analysis.arrays import check_same_length, check_share, checked

MIN_BEYOND = 10
"""Samples that a trial needs beyond a quantile: 1,000 in all for p99, 10,000 for p99.9."""


def quantile(values: ArrayLike, q: float, counts: ArrayLike | None = None) -> float:
    """Return the smallest value that at least a share `q` of the samples does not exceed.

    `counts` says how often each value occurred (a histogram).

    This is definition 1 of Hyndman & Fan, The American Statistician 50 (1996) 361-365, numpy's
    "inverted_cdf", but with the rank in whole numbers: in floating point 0.07 * 100 is above 7
    (numpy #22582).
    """
    values = checked(values, "values")
    check_share(q, "q")
    if counts is None:
        rank = _rank(len(values), q)
        return float(np.partition(values, rank - 1)[rank - 1])
    counts = np.asarray(counts)
    check_same_length(values, counts, "values and counts")
    if counts.dtype.kind not in "iu" or (counts < 0).any() or not counts.any():
        raise ValueError(
            "counts are not whole, non-negative and somewhere positive; "
            "pass how often each value occurred"
        )
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(cumulative, _rank(int(cumulative[-1]), q))])


def quantile_name(q: float) -> str:
    """Return a quantile's name: `p99` for 0.99."""
    return f"p{float(100 * _exact(q)):.12g}"


def tail_allowed(n_samples: ArrayLike, q: float) -> str | None:
    """Return why the q-quantile of trials with so many samples may not be shown; None if it may.

    `n_samples` is one number, or one for each trial of the compared cells. The sample size biases
    a sample quantile, so all sizes must agree.
    """
    sizes = checked(np.atleast_1d(n_samples), "n_samples")
    check_share(q, "q")
    if q == 1:
        return "a maximum grows with the number of samples, and has no interval"
    name, needed = quantile_name(q), ceil(MIN_BEYOND / (1 - _exact(q)))
    smallest, largest = sizes.min(), sizes.max()
    if smallest < needed:
        return (
            f"{name} needs {needed:,} samples in each trial; the smallest trial has {smallest:,.0f}"
        )
    if smallest != largest:
        return (
            f"{name} is compared only between trials of one size; "
            f"these have {smallest:,.0f} to {largest:,.0f} samples"
        )
    return None


def _exact(q: float) -> Fraction:
    """Return the share that a double stands for: 7/100 for 0.07, 5/9 for 0.5555555555555556."""
    ratio = Fraction(float(q)).limit_denominator(10**6)
    return ratio if float(ratio) == q else Fraction(repr(float(q)))


def _rank(n: int, q: float) -> int:
    """Return the rank, from 1, of the q-quantile of n values in ascending order."""
    return max(1, ceil(n * _exact(q)))
