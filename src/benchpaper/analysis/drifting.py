"""Intervals that hold a level through its drift, for verdicts on levels.

A claim on a level speaks of the whole run. If the machine got slower while it was measured, the
level at the start and the level at the end must both lie on the claimed side of the bound. So the
interval of the median is widened, on each side, by half of the drift: by how far the level lies
from its median at either end of a straight line through the blocks.

The line is Theil's and Sen's: its slope is the median of the slopes between all pairs of blocks
(Sen, JASA 63 (1968) 1379-1389), so that outliers hardly move it. Nothing is tested beforehand:
blocks without drift widen the interval by a little, and a test would miss in small runs what it is
for. benchmarks/verdict_rules.py compares this rule with others; `verdicts` states its error rates.

scipy.stats takes half a second to import, so functions import it on use.
"""

from dataclasses import replace
from math import exp

import numpy as np
from numpy.typing import ArrayLike

from benchpaper.analysis.arrays import checked
from benchpaper.analysis.intervals import MIN_BLOCKS, MaybeInterval


def drift(values: ArrayLike) -> float:
    """Return by how much the line through n >= 5 values, in order of time, changes in all.

    It is in the unit of the values: pass their logs for a factor on the log scale.
    """
    from scipy.stats import theilslopes

    values = checked(values, "values", least=MIN_BLOCKS)
    if np.ptp(values) == 0:
        return 0.0
    return float(theilslopes(values).slope) * (len(values) - 1)


def through_drift(interval: MaybeInterval, values: ArrayLike) -> MaybeInterval:
    """Return the `interval` of the level of `values`, widened by half of their drift on each side.

    `values` are one per block, in the order of measuring. If all are positive, this happens on the
    log scale, as `intervals.level` does.
    """
    if not interval.decidable:
        return interval
    values = checked(values, "values", least=MIN_BLOCKS)
    method = f"{interval.method}, through drift"
    if (values > 0).all():
        factor = exp(abs(drift(np.log(values))) / 2)
        low, high = interval.low / factor, interval.high * factor
    else:
        reach = abs(drift(values)) / 2
        low, high = interval.low - reach, interval.high + reach
    return replace(interval, low=low, high=high, method=method)
