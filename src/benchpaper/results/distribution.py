"""Distributions: all samples of a metric, compressed to pairs of a value and its count.

Up to `RAW_BOUND` samples keep their value. More are rounded to `SUB_BUCKETS` steps per power of
two, as in an HDR histogram (Tene, hdrhistogram.org), so that a quantile is known to within 0.05 %,
whatever the number of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SUB_BUCKETS = 1024
RAW_BOUND = 64  # samples
LARGEST = float(np.finfo(np.float32).max)


class InvalidObservation(Exception):
    """A trial's observation that breaks the declared schema; the text names column and rule."""


@dataclass(frozen=True)
class Distribution:
    """Samples as distinct values, ascending, and how often each occurred."""

    values: Sequence[float]
    counts: Sequence[int]


def distribution(samples: Any) -> Distribution:
    """Return `samples`, an array of numbers or a sequence of them, as a distribution.

    Values are stored as float32; the relative error is at most 1/2048. Raises `InvalidObservation`
    if there is no sample, or if one is NaN, infinite, or beyond `LARGEST`.
    """
    samples = np.asarray(samples, dtype=np.float64).ravel()
    if not samples.size:
        raise InvalidObservation("has no samples")
    fine = np.isfinite(samples) & (np.abs(samples) <= LARGEST)
    if not fine.all():
        raise InvalidObservation(
            f"holds {int((~fine).sum())} samples that are not finite numbers up to {LARGEST:.1e}"
        )
    if samples.size > RAW_BOUND:
        mantissa, exponent = np.frexp(samples)
        samples = np.ldexp(np.rint(mantissa * (2 * SUB_BUCKETS)) / (2 * SUB_BUCKETS), exponent)
    values, counts = np.unique(samples.astype(np.float32), return_counts=True)
    return Distribution(values.tolist(), counts.tolist())
