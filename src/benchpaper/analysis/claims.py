"""Claims: sentences of the paper that data can decide, each with a verdict from the data at hand.

analysis/claims.py, and a file analysis/claims_FAMILY.py for each family that wants one, hold one function per claim,
under `@claim(ID, experiment=...)`; its docstring is the sentence as the paper prints it, and it returns a comparison of
an estimate with a bound: `results.estimate(...).below(1.0)`.
"""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, log, log2

from benchpaper.analysis import independence, stats, verdicts
from benchpaper.analysis.estimates import load
from benchpaper.analysis.values import Comparison, NotEnough
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import REFERENCE, VERDICTS
from benchpaper.design import catalog
from benchpaper.results import TRIALS

NOT_TESTABLE, NOT_RUN = "not testable here", "not run"
ON_REFERENCE = {
    verdicts.REPRODUCED: "holds in the reference",
    verdicts.CONTRADICTED: "does not hold in the reference",
}
_registered = []


@dataclass(frozen=True)
class Claim:
    """One claim: `id` as the paper cites it, the `experiment` whose results decide it, the `sentence`, and
    `compare(results) -> Comparison`."""

    id: str
    experiment: str
    sentence: str
    compare: Callable


def claim(id, *, experiment):
    """Decorator: register a function of an experiment's results as the claim `id`."""

    def register(function):
        sentence = " ".join((function.__doc__ or "").split())
        if not sentence:
            raise UserError(f"claim {id}: needs a docstring, the sentence as the paper prints it")
        if any(other.id == id for other in _registered):
            raise UserError(f"claim {id} is made twice; each id belongs to one sentence")
        _registered.append(Claim(id, experiment, sentence, function))
        return function

    return register


def files(project):
    """Return the files that make claims, in order: analysis/claims.py, then one a family, analysis/claims_FAMILY.py."""
    return sorted([*project.analysis.glob("claims.py"), *project.analysis.glob("claims_*.py")])


def load_claims(project):
    """Return the claims of `files`, in order. Raises `UserError` when one does not import, or a claim names an
    experiment that does not exist."""
    _registered.clear()
    for path in files(project):
        before, where = len(_registered), path.relative_to(project.root)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        try:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{where} does not import: {type(error).__name__}: {error}") from error
        for found in _registered[before:]:
            one_of(
                f"{where}: claim {found.id}: experiment", found.experiment, catalog.names(project)
            )
    return list(_registered)


def judge_all(project, site, source, family_wise=False, only=None):
    """Return one row (a dict: id, sentence, experiment, asked, value, interval, n, verdict, why, short: why in few
    words) per claim, judged on the results of `source`; per claim of one experiment with its name as `only`. With
    `family_wise` the intervals are widened so that the chance of *any* wrong verdict, of all claims, stays below 5 %
    (Bonferroni)."""
    claims = load_claims(project)
    confidence = (
        1 - (1 - stats.CONFIDENCE) / max(1, len(claims)) if family_wise else stats.CONFIDENCE
    )
    claims = [claim for claim in claims if only in (None, claim.experiment)]
    found = {
        name: results_of(project, name, site, source)
        for name in {claim.experiment for claim in claims}
    }
    asked = {claim.id: compared(claim, found[claim.experiment], source) for claim in claims}
    biases = {
        name: bias(found[name], [asked[c.id] for c in claims if c.experiment == name])
        for name in found
    }
    return [
        _row(
            claim,
            asked[claim.id],
            found[claim.experiment],
            biases[claim.experiment],
            source,
            confidence,
        )
        for claim in claims
    ]


def results_of(project, experiment, site, source):
    """Return the `Results` of an experiment, or None when it was not run. Raises `ResultsError` when they are broken
    or of another schema."""
    folder = project.results(site, source)
    return load(experiment, folder) if (folder / experiment / TRIALS).exists() else None


def compared(claim, results, source):
    """Return the `Comparison` that a claim makes of results, or a text that says why it was not run on them. Raises
    `UserError` naming claim and experiment when they have no such column, or the claim has no bound."""
    if results is None:
        return f"no results of {claim.experiment} at {source}"
    where = f"claim {claim.id} ({claim.experiment})"
    try:
        comparison = claim.compare(results)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except Exception as error:
        raise UserError(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(comparison, Comparison):
        raise UserError(
            f"{where} has no bound: return an estimate's .below(...), .above(...) or .equal(...)"
        )
    return comparison if comparison.estimate.planned else comparison.estimate.missing


def bias(results, comparisons):
    """Return the verdict on all of them when nothing in these results can be believed, or None: in one of the metrics
    (at the quantile) that the experiment's claims use, two identical cells differ. That spoils the claims on its other
    metrics, too."""
    used = dict.fromkeys(
        (c.estimate.metric, c.estimate.q) for c in comparisons if isinstance(c, Comparison)
    )
    for metric, q in used:
        floor = _floor(results, metric, q, len(used))[0]
        if floor and floor.biased:
            name = metric if q == 0.5 else f"{stats.quantile_name(q)} of {metric}"
            low, high = floor.interval.low, floor.interval.high
            return verdicts.undecided(
                f"two identical cells differ in {name}",
                after=f" (A/A' = {floor.interval.estimate:.4g} [{low:.4g}, {high:.4g}]), "
                f"so nothing in {results.experiment} is decided; find what distinguishes them, and measure again",
            )
    return None


def _row(claim, asked, results, biased, source, confidence):
    row = {
        "id": claim.id,
        "sentence": claim.sentence,
        "experiment": claim.experiment,
        "asked": "",
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "unit": "",
        "confidence": None,
        "cells": [],
        "text": "",
        "blocks_for_5_percent": None,
    }
    if not isinstance(asked, Comparison):
        return {**row, "verdict": NOT_RUN, "why": asked, "short": asked}
    row |= {"asked": str(asked), "unit": asked.estimate.unit, "cells": list(asked.estimate.cells)}
    if asked.estimate.value is None:
        testable = all(results.testable(cell) for cell in asked.estimate.cells)
        word, why = verdicts.INCONCLUSIVE if testable else NOT_TESTABLE, asked.estimate.missing
        return {**row, "verdict": word, "why": why, "short": why}
    try:
        interval = _interval(asked.estimate.values, confidence)
        verdict = decide(asked, interval, results, biased, confidence)
    except ValueError as error:
        raise UserError(f"claim {claim.id} ({claim.experiment}) {asked}: {error}") from error
    word = ON_REFERENCE.get(verdict.word, verdict.word) if source == REFERENCE else verdict.word
    return {
        **row,
        "value": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "confidence": interval.confidence,
        "text": str(replace(asked.estimate, low=interval.low, high=interval.high, tries="")),
        "blocks_for_5_percent": _blocks_needed(asked.estimate.values, interval),
        "verdict": word,
        "why": verdict.reason,
        "short": verdict.short,
    }


def decide(comparison, interval, results, biased=None, confidence=stats.CONFIDENCE):
    """Return the `verdicts.Verdict` on a comparison: its blocks' interval against the bound and the metric's noise
    floor. Blocks that are not independent leave a level inconclusive; ratios within blocks do not mind."""
    estimate = comparison.estimate
    floor, unknown = _floor(results, estimate.metric, estimate.q)
    if floor and not biased:
        floor = replace(floor, biased=False)  # asked of all the claims' metrics at once, see `bias`
    if undecided := biased or unknown or _too_few(interval, confidence):
        return undecided
    flaw = None if estimate.paired else independence.correlated(estimate.values)
    if comparison.side == "equal":
        return verdicts.decide_equal(
            interval, comparison.bound, floor=floor, target=comparison.target, flaw=flaw
        )
    return verdicts.decide(interval, comparison.bound, comparison.side, floor=floor, flaw=flaw)


def _interval(values, confidence):
    """On the log scale where all values are positive, as `Estimate`s are."""
    return (stats.level if min(values) > 0 else stats.median_interval)(values, confidence)


def _floor(results, metric, q, looks=1):
    """Return (noise floor, None), or (None, the verdict where there is none)."""
    try:
        return results.floor(metric, q, looks), None
    except NotEnough as reason:
        return None, verdicts.undecided(f"the noise floor of {metric} is unknown: {reason}")


def _too_few(interval, confidence):
    """The verdict on an interval that cannot be as wide as a family of claims asks for. Alone, a claim takes what 5
    blocks attain."""
    if (
        not interval.decidable
        or confidence == stats.CONFIDENCE
        or interval.confidence >= confidence
    ):
        return None
    needed = ceil(1 - log2(1 - confidence))
    few = f"over all claims together {interval.n} blocks are too few for an interval at {confidence:.2%}"
    return verdicts.undecided(few, after=f"; measure at least {needed}")


def _blocks_needed(values, interval, half_width=0.05):
    """How many blocks would bring the interval within the half-width (on the log scale). None where that is not to be
    told: with too few blocks, or where they fall into groups, so that the interval is wide though the spread is
    small."""
    if not interval.decidable or interval.low <= 0:
        return None
    needed = stats.blocks_needed(values, half_width)
    grouped = needed <= interval.n and log(interval.high / interval.low) > 2 * half_width
    return None if grouped else needed


def failing(rows):
    """Return the ids of the claims that the data contradict, here or in the reference itself."""
    words = (verdicts.CONTRADICTED, ON_REFERENCE[verdicts.CONTRADICTED])
    return [row["id"] for row in rows if row["verdict"] in words]


def save(project, site, source):
    """Judge all claims and write the rows to verdicts.json below the build folder."""
    path = project.build(site, source) / VERDICTS
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(judge_all(project, site, source), indent=1))
    part.replace(path)


def by_chance(rows):
    """Return (number of claims with an interval, how many of their verdicts are wrong by chance at the most, on
    average). An interval is two-sided: a value on the bound itself falls on the wrong side half as often as it
    misses."""
    decidable = [row["confidence"] for row in rows if row["confidence"]]
    return len(decidable), sum((1 - confidence) / 2 for confidence in decidable)
