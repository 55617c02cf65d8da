"""The rule that turns an interval and a bound into a verdict.

Reproduced: the interval lies on the claimed side of the bound, and the estimate clears the bound
by the noise floor. Contradicted: the same on the other side. Inconclusive: all other cases.

A level that was measured over time may have drifted; its whole drift must lie beyond the bound (see
`drifting`). What identical cells have in common cancels in a ratio within blocks.

Error rates of ratios, by simulation over 5 to 30 blocks, with and without 5 % outliers:

- The truth is the bound itself: at most 3 % are reproduced, also with cells three times noisier
  than the A/A cell.
- The claim is true by twice the noise floor: below 0.1 % are contradicted, and from 10 blocks on
  90-93 % are reproduced. More than 95 % is impossible, since one A/A interval in 20 excludes zero
  by chance.

Of levels, also with drift of 7 % or 25 %, steps, and AR(1) with a lag-1 correlation of up to 0.5
(benchmarks/verdict_rules.py):

- The truth is the bound itself: at most 5 % are reproduced, and as many contradicted. Where a drift
  of 7 % just reaches the bound, although the claim is true of the median, 7 % are reproduced, and
  12 % with outliers. A correlation of 0.8, in something three times as large as the noise of a
  trial, is beyond the rule: up to 13 % at the bound.
- The claim is false by twice the noise floor: at most 1 % are reproduced.
- The level lies beyond the bound by twice the noise floor, at each end of a drift by 7 %: from 6
  blocks on 90-95 % are reproduced. At a drift of twelve times the noise it can be 17 %.

Outlier blocks cancel in a paired ratio; outliers in one cell of a pair do not. At 10 or 11 blocks,
two on one side are too many: 86 % are reproduced when 5 % of the pairs are off by a factor of ten,
and 89 % when 5 % of all trials are off by five times their noise. From 12 blocks on, both are
above 90 %.
"""

from dataclasses import dataclass
from math import exp, expm1, isfinite, log, log1p
from typing import Literal

from benchpaper.analysis.claim_rows import CONTRADICTED as CONTRADICTED
from benchpaper.analysis.claim_rows import INCONCLUSIVE as INCONCLUSIVE
from benchpaper.analysis.claim_rows import REPRODUCED as REPRODUCED
from benchpaper.analysis.stats import (
    MIN_BLOCKS,
    Interval,
    MaybeFloor,
    MaybeInterval,
    NoiseFloor,
    UnknownNoiseFloor,
)
from benchpaper.analysis.values import percent


@dataclass(frozen=True)
class Verdict:
    """One word, and its `reason`; `short` is the reason without leading numbers and explanation."""

    word: str
    reason: str
    short: str


def undecided(short: str, *, before: str = "", after: str = "") -> Verdict:
    """Return an inconclusive verdict, whose reason has text `before` and `after` its short form."""
    return Verdict(INCONCLUSIVE, f"{before}{short}{after}", short)


def decide(
    interval: MaybeInterval,
    bound: float,
    side: Literal["below", "above"],
    *,
    floor: MaybeFloor | None,
    through: MaybeInterval | None = None,
) -> Verdict:
    """Decide whether a quantity lies below (or above) a bound, which is in the quantity's unit.

    `floor` is the noise floor of the same metric in the same experiment; pass None only for a
    quantity without noise, such as a rate of violations. `through` is the interval of a level
    through its drift, as `drifting.through_drift` returns it; a paired ratio needs none.
    """
    if side not in ("below", "above"):
        raise ValueError(f'side "{side}" is unknown; pass "below" or "above"')
    _check_bound(bound, floor)
    if not interval.decidable:
        return _too_few(interval)
    if isinstance(floor, UnknownNoiseFloor):
        return _no_floor(floor)
    if verdict := _unbelievable(floor):
        return verdict
    whole = _whole(interval, through)
    shown = f"{_shown_through(interval, whole)} against {bound:.4g}: "
    for word, where in (
        (REPRODUCED, side),
        (CONTRADICTED, "above" if side == "below" else "below"),
    ):
        if _beyond(whole, bound, where):
            if _clears(interval.estimate, bound, where, floor):
                return _decided(word, shown, where, floor)
            noise = percent(expm1(_delta(floor)))
            within = f"{where}, but by no more than the noise floor of {noise}"
            return undecided(within, before=shown, after=_whose(floor))
    return undecided(_what_holds(interval, bound), before=shown)


def decide_equal(
    interval: MaybeInterval,
    margin: float,
    *,
    floor: MaybeFloor | None,
    target: float = 1.0,
    through: MaybeInterval | None = None,
) -> Verdict:
    """Decide whether a quantity differs from `target` by less than a relative margin: 0.05 is 5 %.

    Reproduced: the interval lies between target/(1 + margin) and target*(1 + margin).
    Contradicted: it lies outside, and the estimate clears that edge by the noise floor. A margin
    below the noise floor is undecidable. (Two one-sided tests; Schuirmann, J. Pharmacokinet.
    Biopharm. 15 (1987) 657-680, at 2.5 % each.)
    """
    check_asked("equal", margin, target)
    if not interval.decidable:
        return _too_few(interval)
    if isinstance(floor, UnknownNoiseFloor):
        return _no_floor(floor)
    if verdict := _unbelievable(floor):
        return verdict
    if floor is None:
        return undecided(
            "no noise floor was measured, and without one nothing is known to be equal"
        )
    if log1p(margin) < _delta(floor) - 1e-12:  # rounding alone must not decide
        noise = percent(expm1(_delta(floor)))
        return undecided(f"the margin of {percent(margin)} is below the noise floor of {noise}")
    lower, upper = target / (1 + margin), target * (1 + margin)
    against = f"{target:.4g} with a margin of {percent(margin)}"
    return _between(interval, lower, upper, floor, through, against, "margin")


def decide_within(
    interval: MaybeInterval,
    low: float,
    high: float,
    *,
    floor: MaybeFloor | None,
    through: MaybeInterval | None = None,
) -> Verdict:
    """Decide whether a quantity lies between `low` and `high`, which are in the quantity's unit.

    Reproduced: the interval lies between them. Contradicted: it lies outside, and the estimate
    clears that end by the noise floor. A range that is narrower than the noise floor on either side
    of its middle is undecidable.
    """
    check_asked("within", low, high)
    _check_bound(low, floor)
    if not interval.decidable:
        return _too_few(interval)
    if isinstance(floor, UnknownNoiseFloor):
        return _no_floor(floor)
    if verdict := _unbelievable(floor):
        return verdict
    if floor and log(high / low) / 2 < _delta(floor) - 1e-12:
        noise = percent(expm1(_delta(floor)))
        return undecided(f"the range is narrower than the noise floor of {noise}")
    return _between(interval, low, high, floor, through, f"{low:.4g} to {high:.4g}", "range")


def _between(
    interval: Interval,
    lower: float,
    upper: float,
    floor: NoiseFloor | None,
    through: MaybeInterval | None,
    against: str,
    what: str,
) -> Verdict:
    """Return the verdict on an interval that should lie between two ends."""
    whole = _whole(interval, through)
    shown = f"{_shown_through(interval, whole)} against {against}: "
    if _beyond(whole, lower, "above") and _beyond(whole, upper, "below"):
        return Verdict(REPRODUCED, f"{shown}within", "within")
    for edge, where in ((lower, "below"), (upper, "above")):
        if _beyond(whole, edge, where) and _clears(interval.estimate, edge, where, floor):
            return _decided(CONTRADICTED, shown, where, floor)
    return undecided(f"the interval reaches beyond the {what}, but not clearly", before=shown)


def _too_few(interval: MaybeInterval) -> Verdict:
    few = f"{interval.n} blocks are too few for an interval"
    return undecided(few, after=f"; measure at least {MIN_BLOCKS}")


def _no_floor(floor: UnknownNoiseFloor) -> Verdict:
    few = f"the noise floor rests on {floor.interval.n} blocks, too few for an interval"
    return undecided(few, after=f"; measure at least {MIN_BLOCKS}")


def _whole(interval: Interval, through: MaybeInterval | None) -> Interval:
    """Return the interval that must lie beyond a bound: through the drift, if that is known."""
    return through if through is not None and through.decidable else interval


def _what_holds(interval: Interval, bound: float) -> str:
    """Return what holds the bound: the interval, or only what the level drifted through."""
    held = interval.low <= bound <= interval.high
    return "the interval holds the bound" if held else "the drift of the blocks reaches the bound"


def _unbelievable(floor: NoiseFloor | None) -> Verdict | None:
    """Return the verdict if the noise floor forbids any decision."""
    if floor is not None and floor.biased:
        which = f" (A/A' = {_shown(floor.interval)})"
        return undecided(
            "two identical cells differ",
            after=f"{which}; something distinguishes them, find it and measure again",
        )
    return None


def _beyond(interval: Interval, bound: float, side: str) -> bool:
    return interval.high < bound if side == "below" else interval.low > bound


def _clears(estimate: float, bound: float, side: str, floor: NoiseFloor | None) -> bool:
    delta = _delta(floor)
    if delta == 0:
        return True  # the interval already lies beyond the bound
    return estimate < bound * exp(-delta) if side == "below" else estimate > bound * exp(delta)


def _delta(floor: NoiseFloor | None) -> float:
    """Return a known noise floor on the log scale; 0 for a quantity without noise."""
    return floor.delta if floor else 0.0


def check_asked(side: str, bound: float, target: float) -> None:
    """Raise `ValueError` for a question that no result can answer, as a `Comparison` asks it."""
    if side == "equal":
        if not (isfinite(bound) and bound > 0):
            raise ValueError(f"a margin of {bound} is not positive; pass 0.05 for 5 %")
        if not (isfinite(target) and target > 0):
            raise ValueError(
                f"a target of {target} is not positive; relative margins need a positive one"
            )
    elif side == "within" and not (isfinite(bound) and isfinite(target) and bound < target):
        raise ValueError(
            f"a range from {bound} to {target} holds nothing; pass a smaller number first"
        )
    elif not isfinite(bound):
        raise ValueError(f"a bound of {bound} decides nothing; pass a finite one")


def _check_bound(bound: float, floor: MaybeFloor | None) -> None:
    check_asked("below", bound, 1.0)
    if floor is not None and bound <= 0:
        raise ValueError(
            f"a bound of {bound} cannot be cleared by a factor; "
            "pass a positive one, or floor=None for what has no noise floor"
        )


def _decided(word: str, shown: str, where: str, floor: NoiseFloor | None) -> Verdict:
    noise = percent(expm1(_delta(floor)))
    clears = f", and by more than the noise floor of {noise}" if floor else ""
    short = f"{where}{clears}"
    return Verdict(word, f"{shown}{short}{_whose(floor)}", short)


def _whose(floor: NoiseFloor | None) -> str:
    """Return which cell's a noise floor is, if no twin decided."""
    return f" (that of the noisiest cell, {floor.cell})" if floor and floor.cell else ""


def _shown_through(interval: Interval, whole: Interval) -> str:
    """Return an interval as text, and what it is through its drift if that is wider."""
    if (whole.low, whole.high) == (interval.low, interval.high):
        return _shown(interval)
    return f"{_shown(interval)}, through its drift [{whole.low:.4g}, {whole.high:.4g}],"


def _shown(interval: MaybeInterval) -> str:
    """Return an interval as text; without its ends if all blocks agree."""
    ends = ""
    if interval.decidable and interval.low != interval.high:
        ends = f" [{interval.low:.4g}, {interval.high:.4g}]"
    return f"{interval.estimate:.4g}{ends} (n = {interval.n})"
