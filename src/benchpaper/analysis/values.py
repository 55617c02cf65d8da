"""Values that results give: an estimate over blocks with its interval, its comparison with a bound, and how both are
written."""

from dataclasses import dataclass, replace

import numpy as np

# Each unit's next smaller one, and how many of those it has. What stands after a "/" stays: s/GB becomes ms/GB.
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
LEAST_SHOWN = 1e-4  # below it a number takes a smaller unit


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
        equal = ", all equal" if self.low is not None and self.deterministic else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{with_unit(self.value, self.unit)}{self.interval_text()} (n = {self.n}{equal}{failed})"

    @property
    def deterministic(self):
        """Whether all blocks gave the same value: no seed changes it, and it has no interval to show. A share over all
        tries has one even so: a rare event may come at the next try."""
        return bool(self.values) and not self.tries and min(self.values) == max(self.values)

    def scaled(self, factor, unit):
        """Return the same estimate in another unit: all values times `factor`."""
        scaled = {
            name: None if (v := getattr(self, name)) is None else factor * v
            for name in ("value", "low", "high")
        }
        return replace(
            self,
            unit=unit,
            factor=factor * self.factor,
            values=tuple(factor * v for v in self.values),
            **scaled,
        )

    def interval_text(self):
        """Return ` [low, high]` in the unit and to as many decimals as the value is shown, or an empty string when
        there is no interval."""
        if self.low is None or self.deterministic:
            return ""
        factor, _ = shown_unit(self.value, self.unit)
        low, high = (
            digits(factor * bound, like=factor * self.value) for bound in (self.low, self.high)
        )
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
            return f"{self.target:g}{unit} within {100 * self.bound:g}%"
        return f"{self.side} {self.bound:g}{unit}"


def digits(value, like=None):
    """Return a number to three significant digits of `like` (by default of itself), without an exponent."""
    like = abs(value if like is None else like)
    decimals = 2 if like == 0 else max(0, 2 - int(np.floor(np.log10(like))))
    return f"{value:.{decimals}f}"


def percent(share):
    """Return a share in percent, to two decimals or three significant digits."""
    return f"{share:.2%}" if share == 0 or abs(share) >= 0.01 else f"{digits(100 * share)}%"


def shown_unit(value, unit):
    """Return (factor, unit) in which a number is shown: the next smaller units for one that is very small in its
    own."""
    factor, (head, *rest) = 1.0, unit.split("/")
    if value == 0 or abs(value) >= LEAST_SHOWN:
        return factor, unit
    while abs(factor * value) < 1 and head in SMALLER and (rest or head not in ("M", "k")):
        head, step = SMALLER[head]
        factor *= step
    return factor, "/".join([head, *rest])


def with_unit(value, unit):
    """Return a number with its unit as text, to three significant digits at least; the unit "1" is a pure number's and
    is not shown."""
    factor, unit = shown_unit(value, unit)
    number = f"{int(value)}" if unit == "count" and value == int(value) else digits(factor * value)
    return number if unit in ("1", "count") else f"{number} {unit}"
