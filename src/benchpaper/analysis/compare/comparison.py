"""The comparison of a run with the reference: per cell, per claim, by shape, and between the sites.

A cell is compared by the ratio of its levels, here over reference, from two independent sets of
blocks (see `stats.independent_ratio`), against the larger noise floor of the two runs. Each
difference comes with its size and the noise floor that it clears.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchpaper.analysis import claims
from benchpaper.analysis.compare.differences import Differences, differences
from benchpaper.analysis.compare.pairs import (
    NoiseFloors,
    Pair,
    UnknownFloors,
    check_alike,
    directed,
    noise,
    pair_of,
)
from benchpaper.analysis.compare.ratios import RatioRow, names_of, ratio_row, words
from benchpaper.analysis.compare.shapes import Crossover, Shape, crossovers, shape
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.judging import compared
from benchpaper.analysis.tables import Description, Level
from benchpaper.analysis.values import Comparison
from benchpaper.core.project import REFERENCE, Project


@dataclass(frozen=True)
class CellComparison:
    """A cell, its level of each factor, and the ratio of its values."""

    cell: str
    levels: Mapping[str, Level]
    ratio: RatioRow

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data, with a key per factor."""
        return {"cell": self.cell, **self.levels, **self.ratio.to_json()}


@dataclass(frozen=True)
class ClaimComparison:
    """A claim's verdicts on both sides, and the ratio of its estimates."""

    id: str
    kind: str
    sentence: str
    verdict: str
    verdict_in_reference: str
    ratio: RatioRow

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {
            "id": self.id,
            "kind": self.kind,
            "sentence": self.sentence,
            "verdict": self.verdict,
            "verdict_in_reference": self.verdict_in_reference,
            **self.ratio.to_json(),
        }


@dataclass(frozen=True)
class ExperimentComparison:
    """A run next to the reference.

    `here` and `reference` say which results these are. The cells are compared by `metric`, and
    `names` are the words for (a larger, a smaller) value of it. Each side plans `only` so many
    other cells. `words` counts the cells by word. `figures` are the paths of the drawn figures.
    """

    experiment: str
    here: str
    reference: str
    sites: Differences
    factors: Sequence[Description]
    metric: Description
    names: tuple[str, str]
    noise: NoiseFloors
    only: Mapping[str, int]
    cells: tuple[CellComparison, ...]
    shapes: tuple[Shape, ...]
    crossovers: tuple[Crossover, ...]
    claims: tuple[ClaimComparison, ...]
    figures: tuple[str, ...] = ()

    @property
    def words(self) -> dict[str, int]:
        """{word: number of cells}, the most frequent first."""
        return words(cell.ratio for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain data, as `benchpaper compare --json` prints it."""
        return {
            "experiment": self.experiment,
            "here": self.here,
            "reference": self.reference,
            "sites": asdict(self.sites),
            "factors": self.factors,
            "metric": self.metric["name"],
            "unit": self.metric["unit"],
            "better": self.metric["better"],
            "names": self.names,
            "noise": self.noise.to_json(),
            "common": len(self.cells),
            "only": self.only,
            "cells": [cell.to_json() for cell in self.cells],
            "words": self.words,
            "shapes": [shape.to_json() for shape in self.shapes],
            "crossovers": [asdict(crossover) for crossover in self.crossovers],
            "claims": [claim.to_json() for claim in self.claims],
            "figures": self.figures,
        }


def compare(
    project: Project,
    experiment: str,
    site: str,
    source: str,
    reference_site: str,
    metric: str | None = None,
) -> ExperimentComparison:
    """Return the comparison of an experiment's run with the reference.

    Cells are compared by `metric` (default: the main metric). Raises `UserError` if a side has no
    results, or the sides cannot be compared.
    """
    pair = pair_of(project, experiment, site, source, reference_site)
    chosen = pair.here.metric(metric) if metric else pair.here.telling
    check_alike(pair, chosen["name"])
    return ExperimentComparison(
        experiment=experiment,
        here=pair.here.source,
        reference=pair.reference.source,
        sites=differences(project, pair.here, pair.reference),
        factors=pair.here.described["factors"],
        metric=chosen,
        names=names_of(chosen),
        noise=noise(pair, chosen["name"]),
        only=pair.only(),
        cells=tuple(cells(pair, chosen)),
        shapes=tuple(shape(pair, description) for description in directed(pair)),
        crossovers=tuple(crossovers(pair, chosen["name"])),
        claims=tuple(claim_rows(project, pair, site, source, reference_site)),
    )


def cells(pair: Pair, metric: Description) -> list[CellComparison]:
    """Return a row per common cell."""
    levels = {row.pop("cell"): row for row in pair.here.rows(metric["name"]).to_dict("records")}
    floors, names = noise(pair, metric["name"]), names_of(metric)
    rows = []
    for cell in pair.rows(metric["name"]):
        here, reference = (_values(side, metric["name"], cell) for side in pair.sides.values())
        rows.append(CellComparison(cell, levels[cell], ratio_row(here, reference, floors, names)))
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
        ClaimComparison(
            id=claim.id,
            kind=claim.kind,
            sentence=claim.sentence,
            verdict=here.verdict,
            verdict_in_reference=reference.verdict,
            ratio=_claim_ratio(claim, pair, here, reference),
        )
        for claim, here, reference in zip(its_claims, here_rows, reference_rows, strict=True)
    ]


def _claim_ratio(
    claim: claims.Claim, pair: Pair, here: claims.ClaimRow, reference: claims.ClaimRow
) -> RatioRow:
    compared_here, compared_reference = compared(claim, pair.here), compared(claim, pair.reference)
    sides = _claimed(compared_here, here), _claimed(compared_reference, reference)
    names = ("larger", "smaller")
    for comparison in (compared_reference, compared_here):
        if isinstance(comparison, Comparison):
            estimate = comparison.estimate
            floors = noise(pair, estimate.metric, estimate.q)
            return ratio_row(*sides, floors, names, pair.in_time and not estimate.paired)
    return ratio_row(*sides, UnknownFloors("no side has values"), names)


def _claimed(comparison: Comparison | str, row: claims.ClaimRow) -> Sequence[float] | str:
    """Return a claim's value per block on one side, or why it has none."""
    if row.value is None or isinstance(comparison, str):
        return row.why
    return comparison.estimate.values
