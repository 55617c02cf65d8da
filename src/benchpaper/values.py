"""Values that results give: an estimate over blocks with its interval, its comparison with a bound, and how both are
written."""

from dataclasses import dataclass, replace

import numpy as np


class NotEnough(Exception):
    """There are data, but they do not carry what was asked of them; the text says why."""


@dataclass(frozen=True)
class Estimate:
    """One value over blocks: `value` in `unit`, its interval `low` to `high` (None below 5 blocks), `n` blocks.

    When nothing was measured `value` is None and `missing` says why. `failed` counts trials that failed and are
    in no average. `cells` and `metric` are the trail, `values` what each block gave, `paired` whether these are
    ratios within a block; a claim judges them.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    metric: str
    cells: tuple
    missing: str = ""
    failed: int = 0
    values: tuple = ()
    paired: bool = False
    q: float = 0.5
    factor: float = 1.0  # what `scaled` multiplied by
    tries: str = ""  # of a `pooled_share`: the metric that says on how many tries it rests
    plain: bool = True  # whether cells, metric and q are enough to reckon it again, without a notebook's own function
    planned: bool = True  # False where the scale leaves out what was asked for

    def below(self, bound):
        """Claim that this lies below `bound`, in this estimate's unit."""
        return Comparison(self, "below", float(bound))

    def above(self, bound):
        """Claim that this lies above `bound`, in this estimate's unit."""
        return Comparison(self, "above", float(bound))

    def equal(self, margin, target=1.0):
        """Claim that this differs from `target` by less than a factor of 1 + `margin`."""
        return Comparison(self, "equal", float(margin), float(target))

    def __str__(self):
        if self.value is None:
            return f"not measured here: {self.missing}"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{with_unit(self.value, self.unit)}{self.interval_text()} (n = {self.n}{failed})"

    def scaled(self, factor, unit):
        """Return the same estimate in another unit: all values times `factor`."""
        scaled = {name: None if (v := getattr(self, name)) is None else factor * v for name in ("value", "low", "high")}
        return replace(
            self, unit=unit, factor=factor * self.factor, values=tuple(factor * v for v in self.values), **scaled
        )

    def interval_text(self):
        """Return ` [low, high]` to as many decimals as the value, or an empty string when there is no interval."""
        if self.low is None:
            return ""
        low, high = (digits(bound, like=self.value) for bound in (self.low, self.high))
        return f" [{low}, {high}]"


def gap(why, unit="1", metric="", cells=(), failed=0, planned=True):
    """Return the `Estimate` of what has no value, for the reason `why`."""
    return Estimate(None, None, None, 0, unit, metric, tuple(cells), why, failed, planned=planned)


@dataclass(frozen=True)
class Comparison:
    """What a claim says of an `Estimate`: that it is "below" or "above" a bound, or "equal" within a margin."""

    estimate: Estimate
    side: str
    bound: float
    target: float = 1.0

    def __str__(self):
        unit = "" if self.estimate.unit == "1" else f" {self.estimate.unit}"
        if self.side == "equal":
            return f"{self.target:g}{unit} within {self.bound:.0%}"
        return f"{self.side} {self.bound:g}{unit}"


def digits(value, like=None):
    """Return a number to three significant digits of `like` (by default of itself), without an exponent."""
    like = abs(value if like is None else like)
    decimals = 2 if like == 0 else max(0, 2 - int(np.floor(np.log10(like))))
    return f"{value:.{min(decimals, 6)}f}"


def with_unit(value, unit):
    """Return a number with its unit as text; the unit "1" is a pure number's and is not shown."""
    number = f"{int(value)}" if unit == "count" else digits(value)
    return number if unit in ("1", "count") else f"{number} {unit}"
