"""Claims: sentences of the paper that data can decide, each with a verdict from the data at hand.

analysis/claims.py holds one function per claim, under `@claim(ID, experiment=...)`; its docstring is the sentence as
the paper prints it, and it returns a comparison of an estimate with a bound: `results.estimate(...).below(1.0)`.
"""

import importlib.util
import json
from dataclasses import dataclass
from typing import Callable

from benchpaper import catalog, stats, verdicts
from benchpaper.errors import UserError, one_of
from benchpaper.estimates import Comparison, load
from benchpaper.project import REFERENCE
from benchpaper.results import ResultsError

NOT_TESTABLE, NOT_RUN = "not testable here", "not run"
ON_REFERENCE = {verdicts.REPRODUCED: "holds in the reference", verdicts.CONTRADICTED: "does not hold in the reference"}
# The interval is two-sided at 95 %: a value that lies on its bound is called reproduced in at most one run of forty.
WRONG_BY_CHANCE = 0.025
VERDICTS = "verdicts.json"
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


def load_claims(project):
    """Return the claims of analysis/claims.py, in order. Raises `UserError` when it does not import, or a claim names
    an experiment that does not exist."""
    path = project.analysis / "claims.py"
    _registered.clear()
    if not path.exists():
        return []
    spec = importlib.util.spec_from_file_location("claims", path)
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"analysis/claims.py does not import: {type(error).__name__}: {error}") from error
    for found in _registered:
        one_of(f"analysis/claims.py: claim {found.id}: experiment", found.experiment, catalog.names(project))
    return list(_registered)


def judge_all(project, site, source, family_wise=False):
    """Return one row (a dict: id, sentence, experiment, asked, value, interval, n, verdict, why) per claim, judged on
    the results of `source`. With `family_wise` the intervals are widened so that the chance of *any* wrong verdict
    stays below 5 % (Bonferroni)."""
    claims = load_claims(project)
    confidence = 1 - 0.05 / max(1, len(claims)) if family_wise else stats.CONFIDENCE
    found = {}
    for name in {claim.experiment for claim in claims}:
        try:
            found[name] = load(name, project.results(site, source))
        except ResultsError as error:
            if (project.results(site, source) / name).exists() and "does not exist" not in str(error):
                raise
    return [_judged(claim, found.get(claim.experiment), source, confidence) for claim in claims]


def _judged(claim, results, source, confidence):
    row = {"id": claim.id, "sentence": claim.sentence, "experiment": claim.experiment}
    empty = {"asked": "", "value": None, "low": None, "high": None, "n": 0, "unit": "", "cells": [], "text": ""}
    if results is None:
        return {**row, **empty, "verdict": NOT_RUN, "why": f"no results of {claim.experiment} at {source}"}
    comparison = _compared(claim, results)
    estimate = comparison.estimate
    row |= {
        "asked": str(comparison), "value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n,
        "unit": estimate.unit, "cells": list(estimate.cells), "text": "" if estimate.value is None else str(estimate),
    }  # fmt: skip
    if estimate.value is None:
        failed = estimate.missing.startswith("all ")
        return {**row, "verdict": verdicts.INCONCLUSIVE if failed else NOT_TESTABLE, "why": estimate.missing}
    verdict = decide(comparison, results, confidence)
    word = ON_REFERENCE.get(verdict.word, verdict.word) if source == REFERENCE else verdict.word
    return {**row, "verdict": word, "why": verdict.reason}


def _compared(claim, results):
    where = f"claim {claim.id} ({claim.experiment})"
    try:
        comparison = claim.compare(results)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if not isinstance(comparison, Comparison):
        raise UserError(f"{where} has no bound: return an estimate's .below(...), .above(...) or .equal(...)")
    return comparison


def decide(comparison, results, confidence=stats.CONFIDENCE):
    """Return the `verdicts.Verdict` on a comparison: its blocks against the bound and the metric's noise floor. Blocks
    that drift or resemble their neighbours leave a level inconclusive; ratios within blocks do not mind."""
    estimate = comparison.estimate
    interval = stats.level(estimate.values, confidence)
    flaw = None if estimate.paired else stats.correlated(estimate.values)
    floor = results.floor(estimate.metric, estimate.q)
    if comparison.side == "equal":
        return verdicts.decide_equal(interval, comparison.bound, floor=floor, target=comparison.target, flaw=flaw)
    return verdicts.decide(interval, comparison.bound, comparison.side, floor=floor, flaw=flaw)


def save(project, site, source):
    """Judge all claims and write the rows to verdicts.json below the build folder."""
    path = project.build(site, source) / VERDICTS
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(judge_all(project, site, source), indent=1))
    part.replace(path)


def by_chance(rows):
    """Return (number of decided claims, how many of their verdicts are wrong by chance at the most, on average)."""
    decided = sum(row["n"] >= stats.MIN_BLOCKS for row in rows)
    return decided, decided * WRONG_BY_CHANCE
