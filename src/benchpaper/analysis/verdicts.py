"""The rule that turns an interval and a bound into a verdict.

Reproduced: the interval lies on the claimed side of the bound, and the estimate clears the bound
by the noise floor. Contradicted: the same on the other side. Everything else is inconclusive.

Error rates, by simulation over 5 to 30 blocks, with and without 5 % outliers: reproduced when the
truth is the bound itself, at most 3 %, also with cells three times noisier than the A/A cell;
contradicted when the claim is true by twice the noise floor, below 0.1 %; reproduced at twice the
noise floor, 90-93 % from 10 blocks on. It cannot be more than 95 %, since one A/A interval in 20
excludes zero by chance. Outlier blocks cancel in a paired ratio; outliers in one cell of a pair do
not, and two on one side are too many at 10 or 11 blocks: 86 % when 5 % of the pairs are off by a
factor of ten, 89 % when 5 % of all trials are off by five times their noise. From 12 blocks on,
both are above 90 %.
"""

from dataclasses import dataclass
from math import exp, isfinite, log1p
from typing import Literal

from benchpaper.analysis.independence import Flaw
from benchpaper.analysis.stats import MIN_BLOCKS, Interval, NoiseFloor
from benchpaper.analysis.values import percent

REPRODUCED = "reproduced"
CONTRADICTED = "contradicted"
INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Verdict:
    """One word, and the sentence that says why; `short` is that without the numbers before it and what explains it."""

    word: str
    reason: str
    short: str


def undecided(short: str, *, before: str = "", after: str = "") -> Verdict:
    """Nothing is decided; the sentence that says why has something before and after what is said of it in short."""
    return Verdict(INCONCLUSIVE, f"{before}{short}{after}", short)


def decide(
    interval: Interval,
    bound: float,
    side: Literal["below", "above"],
    *,
    floor: NoiseFloor | None,
    flaw: Flaw | None = None,
) -> Verdict:
    """Whether a quantity lies below (or above) a bound that is in its own unit.

    `floor` is the noise floor of the same metric in the same experiment; None only for what has no
    noise to speak of, such as a rate of violations. `flaw` is a reason against any verdict, as
    `independence.correlated` gives for a level. A paired ratio is compared with 1, say, and needs no flaw.
    """
    if side not in ("below", "above"):
        raise ValueError(f'side "{side}" is unknown; pass "below" or "above"')
    _check_bound(bound, floor)
    if verdict := _undecidable(interval, floor, flaw):
        return verdict
    shown = f"{_shown(interval)} against {bound:.4g}: "
    for word, where in (
        (REPRODUCED, side),
        (CONTRADICTED, "above" if side == "below" else "below"),
    ):
        if _beyond(interval, bound, where):
            if _clears(interval.estimate, bound, where, floor):
                return _decided(word, shown, where, floor)
            within = f"{where}, but by no more than the noise floor of {percent(floor.smallest_difference)}"
            return undecided(within, before=shown)
    return undecided("the interval holds the bound", before=shown)


def decide_equal(
    interval: Interval,
    margin: float,
    *,
    floor: NoiseFloor | None,
    target: float = 1.0,
    flaw: Flaw | None = None,
) -> Verdict:
    """Whether a quantity differs from `target` by less than a relative margin: 0.05 is 5 %.

    The interval must lie between target/(1 + margin) and target*(1 + margin). It is contradicted
    when it lies outside and the estimate clears that edge by the noise floor. A margin below the
    noise floor cannot be decided. (Two one-sided tests; Schuirmann, J. Pharmacokinet. Biopharm.
    15 (1987) 657-680, at 2.5 % each.)
    """
    if not (isfinite(margin) and margin > 0):
        raise ValueError(f"a margin of {margin} is not positive; pass 0.05 for 5 %")
    if not (isfinite(target) and target > 0):
        raise ValueError(
            f"a target of {target} is not positive; relative margins need a positive one"
        )
    if verdict := _undecidable(interval, floor, flaw):
        return verdict
    if floor is None:
        return undecided(
            "no noise floor was measured, and without one nothing is known to be equal"
        )
    if log1p(margin) < floor.delta - 1e-12:  # but not for the sake of rounding
        noise = percent(floor.smallest_difference)
        return undecided(f"the margin of {percent(margin)} is below the noise floor of {noise}")
    lower, upper = target / (1 + margin), target * (1 + margin)
    shown = f"{_shown(interval)} against {target:.4g} with a margin of {percent(margin)}: "
    if _beyond(interval, lower, "above") and _beyond(interval, upper, "below"):
        return Verdict(REPRODUCED, f"{shown}within", "within")
    for edge, where in ((lower, "below"), (upper, "above")):
        if _beyond(interval, edge, where) and _clears(interval.estimate, edge, where, floor):
            return _decided(CONTRADICTED, shown, where, floor)
    return undecided("the interval reaches beyond the margin, but not clearly", before=shown)


def _undecidable(interval: Interval, floor: NoiseFloor | None, flaw: Flaw | None) -> Verdict | None:
    if not interval.decidable:
        return undecided(
            f"{interval.n} blocks are too few for an interval",
            after=f"; measure at least {MIN_BLOCKS}",
        )
    if floor is not None and floor.delta is None:
        few = f"the noise floor rests on {floor.interval.n} blocks, too few for an interval"
        return undecided(few, after=f"; measure at least {MIN_BLOCKS}")
    if floor is not None and floor.biased:
        which = f" (A/A' = {_shown(floor.interval)})"
        return undecided(
            "two identical cells differ",
            after=f"{which}; something distinguishes them, find it and measure again",
        )
    return undecided(flaw.short, after=flaw.explained) if flaw else None


def _beyond(interval: Interval, bound: float, side: str) -> bool:
    return interval.high < bound if side == "below" else interval.low > bound


def _clears(estimate: float, bound: float, side: str, floor: NoiseFloor | None) -> bool:
    if floor is None or floor.delta == 0:
        return True  # the interval already lies beyond the bound
    return (
        estimate < bound * exp(-floor.delta)
        if side == "below"
        else estimate > bound * exp(floor.delta)
    )


def _check_bound(bound: float, floor: NoiseFloor | None):
    if not isfinite(bound):
        raise ValueError(f"a bound of {bound} decides nothing; pass a finite one")
    if floor is not None and bound <= 0:
        raise ValueError(
            f"a bound of {bound} cannot be cleared by a factor; "
            "pass a positive one, or floor=None for what has no noise floor"
        )


def _decided(word: str, shown: str, where: str, floor: NoiseFloor | None) -> Verdict:
    clears = (
        f", and by more than the noise floor of {percent(floor.smallest_difference)}"
        if floor
        else ""
    )
    short = f"{where}{clears}"
    return Verdict(word, f"{shown}{short}", short)


def _shown(interval: Interval) -> str:
    """An interval of no width has no ends to show: the blocks do not differ."""
    ends = "" if interval.low == interval.high else f" [{interval.low:.4g}, {interval.high:.4g}]"
    return f"{interval.estimate:.4g}{ends} (n = {interval.n})"
