"""The ratio of a value here to the same in the reference, and the words for it: by how much, against which noise."""

from dataclasses import replace
from math import expm1, log

from benchpaper.analysis import independence, stats
from benchpaper.analysis.values import digits, percent

WITHIN, UNDECIDED, NOT_COMPARED = "within the noise", "undecided", "not compared"
TIMES = ("ns", "µs", "us", "ms", "s", "min", "h")


def names_of(metric):
    """Return the words for (a larger, a smaller) value of a metric."""
    timed = metric["unit"] in TIMES
    better, worse = (
        ("faster", "slower") if timed or metric["unit"].endswith("/s") else ("better", "worse")
    )
    return {"lower": (worse, better), "higher": (better, worse), "neither": ("larger", "smaller")}[
        metric["better"]
    ]


def ratio_row(here, reference, floors, names, paired=False):
    """Compare two sets of blocks. `here` and `reference` are values, or the reason why there are none."""
    row = {
        **dict.fromkeys(("here", "reference", "ratio", "low", "high")),
        "n": [0, 0],
        "word": NOT_COMPARED,
    }
    for side, values in (("here", here), ("in the reference", reference)):
        why = (
            values
            if isinstance(values, str)
            else ""
            if min(values) > 0
            else "a value of 0 or below has no ratio"
        )
        if why:
            return {**row, "text": f"{NOT_COMPARED}: {side}: {why}"}
    ratio = stats.independent_ratio(here, reference)
    word, text = told(ratio, floors, names, lambda: None if paired else _flaw(here, reference))
    return {
        "here": stats.level(here).estimate,
        "reference": stats.level(reference).estimate,
        "ratio": ratio.estimate,
        "low": ratio.low,
        "high": ratio.high,
        "n": [len(here), len(reference)],
        "word": word,
        "text": text,
    }


def told(ratio, floors, names, flaw=lambda: None):
    """Return (word, text) of a ratio: it is larger or smaller when the interval excludes 1 and the estimate clears the
    noise floor; `flaw()` may say why even that is not to be believed."""
    shown = shown_ratio(ratio)
    if not ratio.decidable:
        few = f"{ratio.n} blocks are too few for an interval; measure at least {stats.MIN_BLOCKS}"
        return UNDECIDED, f"{UNDECIDED}: {shown}: {few}"
    if floors["delta"] is None:
        return UNDECIDED, f"{UNDECIDED}: {shown}, and there is no noise floor ({floors['why']})"
    against = f"noise floor {percent(expm1(floors['delta']))}"
    if abs(log(ratio.estimate)) <= floors["delta"]:
        return WITHIN, f"{WITHIN}: {shown}, {against}"
    if ratio.low <= 1 <= ratio.high:
        return UNDECIDED, f"{UNDECIDED}: {shown}, {against}: the interval holds 1"
    if reason := flaw():
        return UNDECIDED, f"{UNDECIDED}: {shown}, {against}: {reason}"
    name = names[0] if ratio.estimate > 1 else names[1]
    return (
        name,
        f"{name} by {shown_ratio(ratio if ratio.estimate > 1 else _inverse(ratio))}, {against}",
    )


def shown_ratio(ratio):
    """Return a ratio as `1.31x [1.25, 1.40]`."""
    ends = (
        f" [{digits(ratio.low, ratio.estimate)}, {digits(ratio.high, ratio.estimate)}]"
        if ratio.decidable
        else ""
    )
    return f"{digits(ratio.estimate)}x{'' if ratio.low == ratio.high else ends}"


def _inverse(ratio):
    return replace(ratio, estimate=1 / ratio.estimate, low=1 / ratio.high, high=1 / ratio.low)


def _flaw(here, reference):
    for side, values in (("here", here), ("in the reference", reference)):
        if flaw := independence.correlated(values):
            return f"{side} {flaw.short}"
    return None


def words(rows):
    """Return {word: number of cells}, the most frequent first."""
    counts = {}
    for row in rows:
        counts[row["word"]] = counts.get(row["word"], 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
