"""The comparison of a run with the reference: per cell, per claim, by shape, and between the sites.

A cell is compared by the ratio of its levels, here over reference, from two independent sets of
blocks (see `stats.independent_ratio`), against the larger noise floor of the two runs. Each
difference comes with its size and the noise floor that it clears.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from benchpaper.analysis import claims
from benchpaper.analysis.compare.differences import Differences, differences
from benchpaper.analysis.compare.pairs import (
    NoiseFloors,
    Pair,
    check_alike,
    directed,
    noise,
    pair_of,
)
from benchpaper.analysis.compare.ratios import RatioRow, names_of, ratio_row, words
from benchpaper.analysis.compare.shapes import Crossover, Shape, crossovers, shape
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.tables import Description
from benchpaper.analysis.values import Comparison
from benchpaper.core.project import REFERENCE, Project


class ClaimComparison(RatioRow):
    """A claim's verdicts on both sides, and the ratio of its estimates."""

    id: str
    sentence: str
    verdict: str
    verdict_in_reference: str


class ExperimentComparison(TypedDict):
    """A run next to the reference, as `benchpaper compare --json` prints it.

    A row of `cells` has a `RatioRow`, the cell's id, and its level of each factor.
    """

    experiment: str
    here: str
    reference: str
    sites: Differences
    factors: list[Description]
    metric: str
    unit: str
    better: str
    names: tuple[str, str]
    noise: NoiseFloors
    common: int
    only: dict[str, int]
    cells: list[dict[str, Any]]
    words: dict[str, int]
    shapes: list[Shape]
    crossovers: list[Crossover]
    claims: list[ClaimComparison]
    figures: NotRequired[list[str]]


def compare(
    project: Project,
    experiment: str,
    site: str,
    source: str,
    reference_site: str,
    metric: str | None = None,
) -> ExperimentComparison:
    """Return the comparison of an experiment's run with the reference, as plain data.

    Cells are compared by `metric` (default: the main metric). Raises `UserError` if a side has no
    results, or the sides cannot be compared.
    """
    pair = pair_of(project, experiment, site, source, reference_site)
    chosen = pair.here.metric(metric) if metric else pair.here.telling
    check_alike(pair, chosen["name"])
    rows = cells(pair, chosen)
    return {
        "experiment": experiment,
        "here": pair.here.source,
        "reference": pair.reference.source,
        "sites": differences(project, pair.here, pair.reference),
        "factors": pair.here.described["factors"],
        "metric": chosen["name"],
        "unit": chosen["unit"],
        "better": chosen["better"],
        "names": names_of(chosen),
        "noise": noise(pair, chosen["name"]),
        "common": len(pair.cells),
        "only": pair.only(),
        "cells": rows,
        "words": words(rows),
        "shapes": [shape(pair, description) for description in directed(pair)],
        "crossovers": crossovers(pair, chosen["name"]),
        "claims": claim_rows(project, pair, site, source, reference_site),
    }


def cells(pair: Pair, metric: Description) -> list[dict[str, Any]]:
    """Return a row per common cell: its id and levels, and its `RatioRow`."""
    levels = {row["cell"]: row for row in pair.here.cells().to_dict("records")}
    floors, names = noise(pair, metric["name"]), names_of(metric)
    rows = []
    for cell in pair.cells:
        here, reference = (_values(side, metric["name"], cell) for side in pair.sides.values())
        rows.append({**levels[cell], **ratio_row(here, reference, floors, names)})
    return rows


def _values(results: Results, metric: str, cell: str) -> Sequence[float] | str:
    """Return the cell's value per block, in the order of measuring, or why it has none."""
    estimate = results.of_cell(metric, cell)
    return estimate.missing if estimate.value is None else list(estimate.values)


def claim_rows(
    project: Project, pair: Pair, site: str, source: str, reference_site: str
) -> list[ClaimComparison]:
    """Return a row per claim of the experiment: its verdicts, and the ratio of its estimates."""
    name = pair.here.experiment
    here_rows = claims.judge_all(project, site, source, only=name)
    reference_rows = claims.judge_all(project, reference_site, REFERENCE, only=name)
    its_claims = [claim for claim in claims.load_claims(project) if claim.experiment == name]
    return [
        {
            "id": claim.id,
            "sentence": claim.sentence,
            "verdict": here["verdict"],
            "verdict_in_reference": reference["verdict"],
            **_claim_ratio(claim, pair, here, reference),
        }
        for claim, here, reference in zip(its_claims, here_rows, reference_rows, strict=True)
    ]


def _claim_ratio(
    claim: claims.Claim, pair: Pair, here: claims.ClaimRow, reference: claims.ClaimRow
) -> RatioRow:
    compared_here = claims.compared(claim, pair.here)
    compared_reference = claims.compared(claim, pair.reference)
    sides = _claimed(compared_here, here), _claimed(compared_reference, reference)
    names = ("larger", "smaller")
    for comparison in (compared_reference, compared_here):
        if isinstance(comparison, Comparison):
            estimate = comparison.estimate
            floors = noise(pair, estimate.metric, estimate.q)
            return ratio_row(*sides, floors, names, estimate.paired)
    return ratio_row(*sides, {}, names)  # neither side has values, so no floor is needed


def _claimed(comparison: Comparison | str, row: claims.ClaimRow) -> Sequence[float] | str:
    """Return a claim's value per block on one side, or why it has none."""
    if row["value"] is None or isinstance(comparison, str):
        return row["why"]
    return comparison.estimate.values
