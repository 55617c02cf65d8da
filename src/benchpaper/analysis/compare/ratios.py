"""The ratio of a value here to the same in the reference, in words: by how much, and the noise."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, expm1, log
from typing import Any, ClassVar, TypeAlias

import numpy as np

from benchpaper.analysis import drifting, stats
from benchpaper.analysis.compare.pairs import NoiseFloors, UnknownFloors
from benchpaper.analysis.tables import Description
from benchpaper.analysis.values import digits, percent

WITHIN, UNDECIDED, NOT_COMPARED = "within the noise", "undecided", "not compared"
TIMES = ("ns", "µs", "us", "ms", "s", "min", "h")


@dataclass(frozen=True)
class Compared:
    """Two values, each from its blocks: their levels, and the ratio in words."""

    here: float
    reference: float
    ratio: stats.MaybeInterval
    blocks: tuple[int, int]
    word: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        return {
            "here": self.here,
            "reference": self.reference,
            "ratio": self.ratio.estimate,
            "low": self.ratio.low,
            "high": self.ratio.high,
            "n": list(self.blocks),
            "word": self.word,
            "text": self.text,
        }


@dataclass(frozen=True)
class NotCompared:
    """Two values of which a side has none; `text` says which and why."""

    text: str
    word: ClassVar[str] = NOT_COMPARED

    def to_json(self) -> dict[str, Any]:
        """Return the reason as plain data, with the keys of a comparison."""
        nothing = dict.fromkeys(("here", "reference", "ratio", "low", "high"))
        return {**nothing, "n": [0, 0], "word": self.word, "text": self.text}


RatioRow: TypeAlias = Compared | NotCompared


def names_of(metric: Description) -> tuple[str, str]:
    """Return the words for (a larger, a smaller) value of a metric."""
    if metric["better"] == "neither":
        return "larger", "smaller"
    timed = metric["unit"] in TIMES or metric["unit"].endswith("/s")
    better, worse = ("faster", "slower") if timed else ("better", "worse")
    return (worse, better) if metric["better"] == "lower" else (better, worse)


def ratio_row(
    here: Sequence[float] | str,
    reference: Sequence[float] | str,
    floors: NoiseFloors,
    names: tuple[str, str],
    ordered: bool = True,
) -> RatioRow:
    """Compare two sets of blocks; each side is its values, or why it has none.

    `names` are the words for (a larger, a smaller) value. `ordered` values may drift, and must
    differ all the way; the order of ratios within blocks, and of blocks over seeds or inputs, does
    not matter.
    """
    if isinstance(here, str) or min(here) <= 0:
        return _not_compared("here", here)
    if isinstance(reference, str) or min(reference) <= 0:
        return _not_compared("in the reference", reference)
    ratio = stats.independent_ratio(here, reference)
    through = _through_drifts(ratio, here, reference) if ordered else ratio
    word, text = describe_ratio(ratio, floors, names, through)
    return Compared(
        here=stats.level(here).estimate,
        reference=stats.level(reference).estimate,
        ratio=ratio,
        blocks=(len(here), len(reference)),
        word=word,
        text=text,
    )


def _not_compared(side: str, values: Sequence[float] | str) -> NotCompared:
    why = values if isinstance(values, str) else "a value of 0 or below has no ratio"
    return NotCompared(f"{NOT_COMPARED}: {side}: {why}")


def describe_ratio(
    ratio: stats.MaybeInterval,
    floors: NoiseFloors,
    names: tuple[str, str],
    through: stats.MaybeInterval | None = None,
) -> tuple[str, str]:
    """Return (word, text) of a ratio.

    It is larger or smaller if the interval excludes 1 and the estimate clears the noise floor.
    `through` is its interval through the drift of both sides, which must exclude 1 too.
    """
    shown = shown_ratio(ratio)
    if not ratio.decidable:
        few = f"{ratio.n} blocks are too few for an interval; measure at least {stats.MIN_BLOCKS}"
        return UNDECIDED, f"{UNDECIDED}: {shown}: {few}"
    if isinstance(floors, UnknownFloors):
        return UNDECIDED, f"{UNDECIDED}: {shown}, and there is no noise floor ({floors.why})"
    against = f"noise floor {percent(expm1(floors.delta))}"
    if abs(log(ratio.estimate)) <= floors.delta:
        return WITHIN, f"{WITHIN}: {shown}, {against}"
    if ratio.low <= 1 <= ratio.high:
        return UNDECIDED, f"{UNDECIDED}: {shown}, {against}: the interval holds 1"
    if through is not None and through.decidable and through.low <= 1 <= through.high:
        return UNDECIDED, f"{UNDECIDED}: {shown}, {against}: the drift of the blocks reaches 1"
    name = names[0] if ratio.estimate > 1 else names[1]
    return (
        name,
        f"{name} by {shown_ratio(ratio if ratio.estimate > 1 else _inverse(ratio))}, {against}",
    )


def shown_ratio(ratio: stats.MaybeInterval) -> str:
    """Return a ratio as `1.31x [1.25, 1.40]`."""
    ends = ""
    if ratio.decidable and ratio.low != ratio.high:
        ends = f" [{digits(ratio.low, ratio.estimate)}, {digits(ratio.high, ratio.estimate)}]"
    return f"{digits(ratio.estimate)}x{ends}"


def _inverse(ratio: stats.Interval) -> stats.Interval:
    return replace(ratio, estimate=1 / ratio.estimate, low=1 / ratio.high, high=1 / ratio.low)


def _through_drifts(
    ratio: stats.MaybeInterval, here: Sequence[float], reference: Sequence[float]
) -> stats.MaybeInterval:
    """Return the interval of a ratio, widened by half of the drift of each side."""
    if not ratio.decidable:
        return ratio
    factor = exp(sum(abs(drifting.drift(np.log(side))) for side in (here, reference)) / 2)
    return replace(ratio, low=ratio.low / factor, high=ratio.high * factor)


def words(rows: Iterable[RatioRow]) -> dict[str, int]:
    """Return {word: number of cells}, the most frequent first."""
    return dict(Counter(row.word for row in rows).most_common())
