"""Claims: sentences of the paper that data can decide, each with its verdict.

analysis/claims.py, and optionally analysis/claims_FAMILY.py, hold one function per claim, under
`@claim(ID, experiment=...)`. Its docstring is the sentence as the paper prints it. It returns the
comparison of an estimate with a bound: `results.estimate(...).below(1.0)`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil, log, log2
from typing import TypedDict

from benchpaper.analysis import independence, recipes, stats, verdicts
from benchpaper.analysis.claim_files import Claim as Claim
from benchpaper.analysis.claim_files import claim as claim
from benchpaper.analysis.claim_files import files as files
from benchpaper.analysis.claim_files import load_claims as load_claims
from benchpaper.analysis.estimates import Results, load
from benchpaper.analysis.recipes import Basis
from benchpaper.analysis.values import Comparison, InsufficientDataError
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, VERDICTS, Project
from benchpaper.results import TRIALS

NOT_TESTABLE, NOT_RUN = "not testable here", "not run"
ON_REFERENCE = {
    verdicts.REPRODUCED: "holds in the reference",
    verdicts.CONTRADICTED: "does not hold in the reference",
}


class ClaimRow(TypedDict):
    """A judged claim, as in verdicts.json.

    `asked` is the comparison as text, and `basis` the same as data; `value`, `low`, and `high` are
    in `unit`, and None without a value. `short` is `why` in few words.
    """

    id: str
    sentence: str
    experiment: str
    asked: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    confidence: float | None
    cells: list[str]
    text: str
    blocks_for_5_percent: int | None
    verdict: str
    why: str
    short: str
    basis: Basis | None


def judge_all(
    project: Project,
    site: str,
    source: str,
    family_wise: bool = False,
    only: str | None = None,
) -> list[ClaimRow]:
    """Return one row per claim, judged on the results of `source`.

    `only` is the name of one experiment, and selects its claims. `family_wise` widens the intervals
    so that the chance of *any* wrong verdict, over all claims, stays below 5 % (Bonferroni).
    """
    claims = load_claims(project)
    confidence = (
        1 - (1 - stats.CONFIDENCE) / max(1, len(claims)) if family_wise else stats.CONFIDENCE
    )
    claims = [claim for claim in claims if only in (None, claim.experiment)]
    by_experiment: dict[str, list[Claim]] = {}
    for each in claims:
        by_experiment.setdefault(each.experiment, []).append(each)
    rows: dict[str, ClaimRow] = {}
    for name, its_claims in by_experiment.items():
        results = results_of(project, name, site, source)
        if results is None:
            rows |= {claim.id: without_results(claim, source) for claim in its_claims}
        else:
            rows |= judge(its_claims, results, source, confidence)
    return [rows[claim.id] for claim in claims]


def without_results(claim: Claim, source: str) -> ClaimRow:
    """Return the row of a claim whose experiment was not run at `source`."""
    return _not_run(claim, f"no results of {claim.experiment} at {source}")


def judge(
    claims: Sequence[Claim],
    results: Results,
    source: str,
    confidence: float = stats.CONFIDENCE,
) -> dict[str, ClaimRow]:
    """Return {id: row} of an experiment's claims."""
    comparisons = {claim.id: compared(claim, results) for claim in claims}
    biased = bias(results, comparisons.values())
    return {
        claim.id: _row(claim, comparisons[claim.id], results, biased, source, confidence)
        for claim in claims
    }


def results_of(project: Project, experiment: str, site: str, source: str) -> Results | None:
    """Return the `Results` of an experiment, or None when it was not run.

    Raises `ResultsError` when they are broken or of another schema.
    """
    folder = project.results(site, source)
    return load(experiment, folder) if (folder / experiment / TRIALS).exists() else None


def compared(claim: Claim, results: Results) -> Comparison | str:
    """Return the `Comparison` that a claim makes of results, or why their scale leaves it out.

    Raises `UserError`, naming claim and experiment, when the claim's function fails or returns no
    comparison.
    """
    where = f"claim {claim.id} ({claim.experiment})"
    try:
        comparison: object = claim.compare(results)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except Exception as error:
        raise UserError(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(comparison, Comparison):
        raise UserError(
            f"{where} has no bound: return an estimate's .below(...), .above(...) or .equal(...)"
        )
    return comparison if comparison.estimate.planned else comparison.estimate.missing


def bias(results: Results, comparisons: Iterable[Comparison | str]) -> verdicts.Verdict | None:
    """Return the verdict on all claims of an experiment if its results are biased, else None.

    They are biased if two identical cells differ in a metric (at the quantile) that a claim uses.
    That discredits the claims on other metrics, too.
    """
    used = dict.fromkeys(
        (c.estimate.metric, c.estimate.q) for c in comparisons if isinstance(c, Comparison)
    )
    for metric, q in used:
        floor, _ = _floor(results, metric, q, len(used))
        if floor and floor.biased:
            name = metric if q == 0.5 else f"{stats.quantile_name(q)} of {metric}"
            low, high = floor.interval.low, floor.interval.high
            return verdicts.undecided(
                f"two identical cells differ in {name}",
                after=f" (A/A' = {floor.interval.estimate:.4g} [{low:.4g}, {high:.4g}]), "
                f"so nothing in {results.experiment} is decided; "
                "find what distinguishes them, and measure again",
            )
    return None


def _not_run(claim: Claim, why: str) -> ClaimRow:
    """Return the row of a claim without a comparison."""
    return {
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
        "verdict": NOT_RUN,
        "why": why,
        "short": why,
        "basis": None,
    }


def _row(
    claim: Claim,
    comparison: Comparison | str,
    results: Results,
    biased: verdicts.Verdict | None,
    source: str,
    confidence: float,
) -> ClaimRow:
    if isinstance(comparison, str):
        return _not_run(claim, comparison)
    estimate = comparison.estimate
    row = _not_run(claim, estimate.missing)
    row["asked"], row["unit"] = str(comparison), estimate.unit
    row["cells"] = list(estimate.cells)
    row["basis"] = recipes.basis(comparison)
    if estimate.value is None:
        testable = all(results.testable(cell) for cell in estimate.cells)
        row["verdict"] = verdicts.INCONCLUSIVE if testable else NOT_TESTABLE
        return row
    try:
        interval = _interval(estimate.values, confidence)
        verdict = decide(comparison, interval, results, biased, confidence)
    except ValueError as error:
        raise UserError(f"claim {claim.id} ({claim.experiment}) {comparison}: {error}") from error
    word = ON_REFERENCE.get(verdict.word, verdict.word) if source == REFERENCE else verdict.word
    return {
        **row,
        "value": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "confidence": interval.confidence,
        "text": str(replace(estimate, low=interval.low, high=interval.high, tries="")),
        "blocks_for_5_percent": _blocks_needed(estimate.values, interval),
        "verdict": word,
        "why": verdict.reason,
        "short": verdict.short,
    }


def decide(
    comparison: Comparison,
    interval: stats.MaybeInterval,
    results: Results,
    biased: verdicts.Verdict | None = None,
    confidence: float = stats.CONFIDENCE,
) -> verdicts.Verdict:
    """Return the verdict on a comparison: its interval against the bound and the noise floor.

    Dependent blocks leave a level inconclusive, but not a ratio within blocks.
    """
    estimate = comparison.estimate
    floor, unknown = _floor(results, estimate.metric, estimate.q)
    if floor and not biased:
        floor = replace(floor, biased=False)  # `bias` looks at the metrics of all claims together
    if undecided := biased or unknown or _too_few(interval, confidence):
        return undecided
    flaw = None if estimate.paired else independence.correlated(estimate.values)
    if comparison.side == "equal":
        return verdicts.decide_equal(
            interval, comparison.bound, floor=floor, target=comparison.target, flaw=flaw
        )
    return verdicts.decide(interval, comparison.bound, comparison.side, floor=floor, flaw=flaw)


def _interval(values: Sequence[float], confidence: float) -> stats.MaybeInterval:
    """Return the interval over blocks, on the log scale if all values are positive."""
    return (stats.level if min(values) > 0 else stats.median_interval)(values, confidence)


def _floor(
    results: Results, metric: str, q: float, looks: int = 1
) -> tuple[stats.NoiseFloor | None, verdicts.Verdict | None]:
    """Return (noise floor, None), or (None, the verdict without one)."""
    try:
        return results.floor(metric, q, looks), None
    except InsufficientDataError as reason:
        return None, verdicts.undecided(f"the noise floor of {metric} is unknown: {reason}")


def _too_few(interval: stats.MaybeInterval, confidence: float) -> verdicts.Verdict | None:
    """Return the verdict if an interval does not attain the confidence that all claims need.

    A claim alone takes the confidence that 5 blocks attain.
    """
    if (
        not interval.decidable
        or confidence == stats.CONFIDENCE
        or interval.confidence >= confidence
    ):
        return None
    needed = ceil(1 - log2(1 - confidence))
    few = (
        f"over all claims together {interval.n} blocks are too few "
        f"for an interval at {confidence:.2%}"
    )
    return verdicts.undecided(few, after=f"; measure at least {needed}")


def _blocks_needed(
    values: Sequence[float], interval: stats.MaybeInterval, half_width: float = 0.05
) -> int | None:
    """Return how many blocks would bring the interval within the half-width (on the log scale).

    Unknown (None) with too few blocks, or if the blocks fall into groups, so that the interval is
    wide although the spread is small.
    """
    if not interval.decidable or interval.low <= 0:
        return None
    needed = stats.blocks_needed(values, half_width)
    grouped = needed <= interval.n and log(interval.high / interval.low) > 2 * half_width
    return None if grouped else needed


def failing(rows: Iterable[ClaimRow]) -> list[str]:
    """Return the ids of the claims that the data contradict, here or in the reference itself."""
    words = (verdicts.CONTRADICTED, ON_REFERENCE[verdicts.CONTRADICTED])
    return [row["id"] for row in rows if row["verdict"] in words]


def save(project: Project, site: str, source: str) -> None:
    """Judge all claims, and write the rows to verdicts.json in the build folder."""
    path = project.build(site, source) / VERDICTS
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(judge_all(project, site, source), indent=1))
    part.replace(path)


def by_chance(rows: Iterable[ClaimRow]) -> tuple[int, float]:
    """Return (number of claims with an interval, upper bound of the mean number of wrong verdicts).

    An interval is two-sided: if the truth is the bound, half of the misses are on the wrong side.
    """
    decidable = [row["confidence"] for row in rows if row["confidence"]]
    return len(decidable), sum((1 - confidence) / 2 for confidence in decidable)
