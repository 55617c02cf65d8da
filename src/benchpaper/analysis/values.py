"""An estimate over blocks with its interval, its comparison with a bound, and the text of both."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from benchpaper.analysis.arrays import FloatArray
from benchpaper.analysis.intervals import level, median_interval
from benchpaper.analysis.recipes import Side
from benchpaper.design.replication import OVER_TIME

# The next smaller unit, and how many of it make one. A part after "/" stays: s/GB becomes ms/GB.
SMALLER = {
    "h": ("min", 60),
    "min": ("s", 60),
    "s": ("ms", 1e3),
    "ms": ("µs", 1e3),
    "us": ("ns", 1e3),
    "µs": ("ns", 1e3),
    "ns": ("ps", 1e3),
    "ps": ("fs", 1e3),
    "GB": ("MB", 1e3),
    "MB": ("kB", 1e3),
    "kB": ("B", 1e3),
    "GiB": ("MiB", 1024),
    "MiB": ("KiB", 1024),
    "KiB": ("B", 1024),
    "Gbit": ("Mbit", 1e3),
    "Mbit": ("kbit", 1e3),
    "kbit": ("bit", 1e3),
    "M": ("k", 1e3),
    "k": ("1", 1e3),
}
LEAST_SHOWN = 1e-4  # smaller numbers take a smaller unit


class InsufficientDataError(Exception):
    """The data cannot answer this question; the text says why."""


@dataclass(frozen=True)
class Estimate:
    """One value over blocks: `value` in `unit`, its interval `low` to `high`, and `n` blocks.

    Below 5 blocks `low` and `high` are None. If nothing was measured, `value` is None and `missing`
    says why. `failed` counts failed trials, which no average includes. `cells` and `metric` are the
    trail. A claim judges `values`, one per block; `paired` says that they compare within blocks.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    metric: str
    cells: tuple[str, ...]
    missing: str = ""
    failed: int = 0
    values: tuple[float, ...] = ()
    paired: bool = False
    q: float = 0.5
    factor: float = 1.0  # the product of all factors of `scaled`
    tries: str = ""  # of a `pooled_share`: the metric that counts its tries
    second: str = ""  # of a rank agreement: the other metric; of a pooled share: as `tries`
    by: str = ""  # how `recomputing` computes it again; "" if that takes a function of the notebook
    over: str = OVER_TIME  # what the blocks differ in, as "seed" or "trace"
    site: str = ""  # of stored results that a paper shows next to the run's own
    planned: bool = True  # False if the scale leaves out its cell

    def below(self, bound: float) -> "Comparison":
        """Claim that this lies below `bound`, in this estimate's unit."""
        return Comparison(self, "below", float(bound))

    def above(self, bound: float) -> "Comparison":
        """Claim that this lies above `bound`, in this estimate's unit."""
        return Comparison(self, "above", float(bound))

    def equal(self, margin: float, target: float = 1.0) -> "Comparison":
        """Claim that this differs from `target` by less than a factor of 1 + `margin`."""
        return Comparison(self, "equal", float(margin), float(target))

    def within(self, low: float, high: float) -> "Comparison":
        """Claim that this lies between `low` and `high`, in this estimate's unit."""
        return Comparison(self, "within", float(low), float(high))

    def __str__(self) -> str:
        if self.value is None:
            return f"not measured here: {self.missing}"
        equal = ", all equal" if self.low is not None and self.deterministic else ""
        equal = "" if self.shown_deterministic else equal
        failed = f", {self.failed} failed" if self.failed else ""
        count = f"(n = {self.n}{equal}{failed})"
        return f"{with_unit(self.value, self.unit)}{self.interval_text()} {count}"

    @property
    def deterministic(self) -> bool:
        """Whether all blocks gave the same value, so that there is no interval to show.

        A share over all tries still has an interval: the next try may bring the rare event.
        """
        return bool(self.values) and not self.tries and min(self.values) == max(self.values)

    @property
    def shown_deterministic(self) -> bool:
        """Whether enough blocks gave the same value, although they had different seeds or inputs.

        Blocks in time show no such thing: they repeat the same run.
        """
        return self.over != OVER_TIME and self.low is not None and self.deterministic

    def scaled(self, factor: float, unit: str) -> "Estimate":
        """Return the same estimate in another unit: all values times `factor`."""

        def times(value: float | None) -> float | None:
            return None if value is None else factor * value

        return replace(
            self,
            value=times(self.value),
            low=times(self.low),
            high=times(self.high),
            unit=unit,
            factor=factor * self.factor,
            values=tuple(factor * v for v in self.values),
        )

    def interval_text(self) -> str:
        """Return ` [low, high]` with the unit and decimals of the value; "" without an interval.

        A deterministic value says so in this place.
        """
        if self.shown_deterministic:
            return " (deterministic)"
        if self.value is None or self.low is None or self.high is None or self.deterministic:
            return ""
        factor, _ = shown_unit(self.value, self.unit)
        low, high = (
            digits(factor * bound, like=factor * self.value) for bound in (self.low, self.high)
        )
        return f" [{low}, {high}]"


def gap(
    why: str,
    unit: str = "1",
    metric: str = "",
    cells: Iterable[str] = (),
    failed: int = 0,
    planned: bool = True,
) -> Estimate:
    """Return an `Estimate` without a value, for the reason `why`."""
    return Estimate(None, None, None, 0, unit, metric, tuple(cells), why, failed, planned=planned)


def estimated(
    values: FloatArray,
    unit: str,
    metric: str,
    cells: tuple[str, ...],
    failed: int,
    paired: bool = False,
    q: float = 0.5,
) -> Estimate:
    """Return the `Estimate` over the blocks' `values`, on the log scale if all are positive."""
    interval = level(values) if (values > 0).all() else median_interval(values)
    return Estimate(
        interval.estimate,
        interval.low,
        interval.high,
        interval.n,
        unit,
        metric,
        cells,
        failed=failed,
        values=tuple(values.tolist()),
        paired=paired,
        q=q,
        by="ratio" if paired else "level",
    )


@dataclass(frozen=True)
class Comparison:
    """What a claim states of an `Estimate`: "below" or "above" a bound, "equal", or "within".

    `bound` is in the estimate's unit; for "equal" it is the relative margin around `target`. A
    value "within" a range lies between `bound` and `target`.
    """

    estimate: Estimate
    side: Side
    bound: float
    target: float = 1.0

    def __str__(self) -> str:
        unit = "" if self.estimate.unit == "1" else f" {self.estimate.unit}"
        if self.side == "equal":
            return f"{self.target:g}{unit} within {100 * self.bound:g}%"
        if self.side == "within":
            return f"from {self.bound:g} to {self.target:g}{unit}"
        return f"{self.side} {self.bound:g}{unit}"


def digits(value: float, like: float | None = None) -> str:
    """Return a number to three significant digits of `like` (default: itself), without exponent."""
    like = abs(value if like is None else like)
    decimals = 2 if like == 0 else max(0, 2 - int(np.floor(np.log10(like))))
    return f"{value:.{decimals}f}"


def percent(share: float) -> str:
    """Return a share in percent, to two decimals or three significant digits."""
    return f"{share:.2%}" if share == 0 or abs(share) >= 0.01 else f"{digits(100 * share)}%"


def shown_unit(value: float, unit: str) -> tuple[float, str]:
    """Return (factor, unit) for showing a number: a very small one takes a smaller unit."""
    factor, (head, *rest) = 1.0, unit.split("/")
    if value == 0 or abs(value) >= LEAST_SHOWN:
        return factor, unit
    while abs(factor * value) < 1 and head in SMALLER and (rest or head not in ("M", "k")):
        head, step = SMALLER[head]
        factor *= step
    return factor, "/".join([head, *rest])


def with_unit(value: float, unit: str) -> str:
    """Return a number with its unit as text, to at least three significant digits.

    The units "1" and "count", of pure numbers, are not shown.
    """
    factor, unit = shown_unit(value, unit)
    number = f"{int(value)}" if unit == "count" and value == int(value) else digits(factor * value)
    return number if unit in ("1", "count") else f"{number} {unit}"
