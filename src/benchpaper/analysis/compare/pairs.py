"""The results of one experiment on two sides, here and in the reference, and their common cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1
from typing import ClassVar, TypeAlias

import pandas as pd

from benchpaper.analysis import claims
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.tables import Description
from benchpaper.analysis.values import InsufficientDataError
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design.replication import OVER_TIME

HERE, IN_REFERENCE = "here", "in the reference"


@dataclass(frozen=True)
class KnownFloors:
    """The noise floors of both sides, relative (0.05 is 5 %).

    `delta` is the larger one, on the log scale.
    """

    here: float
    reference: float
    delta: float

    def to_json(self) -> dict[str, float | str | None]:
        """Return the floors as plain data, by the names of the sides."""
        return {HERE: self.here, IN_REFERENCE: self.reference, "delta": self.delta, "why": ""}


@dataclass(frozen=True)
class UnknownFloors:
    """The noise floors of two sides of which one or both have none; `why` says why."""

    why: str
    here: float | None = None
    reference: float | None = None
    delta: ClassVar[None] = None

    def to_json(self) -> dict[str, float | str | None]:
        """Return the floors as plain data, by the names of the sides."""
        return {HERE: self.here, IN_REFERENCE: self.reference, "delta": None, "why": self.why}


NoiseFloors: TypeAlias = KnownFloors | UnknownFloors


@dataclass(frozen=True)
class Pair:
    """The results of one experiment, `here` and of the `reference`."""

    here: Results
    reference: Results

    @property
    def sides(self) -> dict[str, Results]:
        """The results by the name of their side."""
        return {HERE: self.here, IN_REFERENCE: self.reference}

    @property
    def cells(self) -> list[str]:
        """The ids of the cells that both sides planned, in declared order, without the twins."""
        others = set(self.reference.cells()["cell"])
        return [cell for cell in self.here.cells()["cell"] if cell in others]

    def rows(self, metric: str) -> list[str]:
        """Return the ids under which both sides planned values of a metric (see `Results.rows`)."""
        others = set(self.reference.rows(metric)["cell"])
        return [row for row in self.here.rows(metric)["cell"] if row in others]

    @property
    def in_time(self) -> bool:
        """Whether the blocks follow one another in time, so that their order may matter."""
        return self.here.block_over == OVER_TIME

    def only(self) -> dict[str, int]:
        """Return how many cells only one side planned, by side."""
        return {
            side: len(results.cells()) - len(self.cells) for side, results in self.sides.items()
        }


def pair_of(project: Project, experiment: str, site: str, source: str, reference_site: str) -> Pair:
    """Return the `Pair` of an experiment. Raises `UserError`, naming the side, without results."""
    if (site, source) == (reference_site, REFERENCE):
        raise UserError(
            "the reference cannot be compared with itself; "
            "measure first (./reproduce), or name another --reference-site"
        )
    return Pair(
        _results_of(project, experiment, HERE, site, source),
        _results_of(project, experiment, IN_REFERENCE, reference_site, REFERENCE),
    )


def _results_of(project: Project, experiment: str, side: str, site: str, source: str) -> Results:
    results = claims.results_of(project, experiment, site, source)
    if results is None:
        where = f'{side} (site "{site}", {source})'
        raise UserError(f"no results of {experiment} {where}, so there is nothing to compare")
    return results


def directed(pair: Pair) -> list[Description]:
    """Return the descriptions of the metrics with a direction that both sides have."""
    names = {metric["name"] for metric in pair.reference.described["metrics"]}
    return [
        m for m in pair.here.described["metrics"] if m["better"] != "neither" and m["name"] in names
    ]


def check_alike(pair: Pair, metric: str) -> None:
    """Raise `UserError`, naming both sides, if they declare other factors, metrics or blocks."""
    aspects = (
        ("factors", _shown_factors),
        (f"metric {metric}", _shown_metric),
        ("blocks", lambda results, _: f"over {results.block_over}"),
    )
    for what, shown in aspects:
        here, reference = (shown(results, metric) for results in pair.sides.values())
        if here != reference:
            raise UserError(
                f"{pair.here.experiment}: {what} here: {here}; in the reference: {reference}; "
                "these cannot be compared: "
                "use the version of the experiment that the reference was measured with"
            )


def _shown_factors(results: Results, _metric: str) -> str:
    factors = results.described["factors"]
    return ", ".join(
        sorted({f"{f['name']} ({f['unit']})" if f["unit"] else f["name"] for f in factors})
    )


def _shown_metric(results: Results, metric: str) -> str:
    metrics = {m["name"]: m for m in results.described["metrics"]}
    if metric not in metrics:
        return "not declared"
    return "{unit}, {better} is better, {kept} kept".format(**metrics[metric])


def noise(pair: Pair, metric: str, q: float = 0.5) -> NoiseFloors:
    """Return the noise floors of a metric on both sides."""
    here, why_here = _noise_floor(pair.here, metric, q)
    reference, why_reference = _noise_floor(pair.reference, metric, q)
    if here is not None and reference is not None:
        return KnownFloors(expm1(here), expm1(reference), max(here, reference))
    reasons = {HERE: why_here, IN_REFERENCE: why_reference}
    return UnknownFloors(
        "; ".join(f"{side}: {reason}" for side, reason in reasons.items() if reason),
        None if here is None else expm1(here),
        None if reference is None else expm1(reference),
    )


def _noise_floor(results: Results, metric: str, q: float) -> tuple[float | None, str]:
    """Return (noise floor on the log scale, ""), or (None, why there is none)."""
    try:
        floor = results.floor(metric, q)
    except InsufficientDataError as error:
        return None, str(error)
    if not floor.known:
        return None, f"{floor.interval.n} blocks are too few"
    if floor.biased:
        return None, "two identical cells differ"
    return floor.delta, ""


def series(pair: Pair, metric: str, cell: str) -> Sequence[pd.Series] | None:
    """Return the cell's values by block, of both sides; None unless both have some."""
    try:
        both = [
            results.block_df(metric, cell).set_index("block")["value"]
            for results in pair.sides.values()
        ]
    except InsufficientDataError:
        return None
    return both if all(map(len, both)) else None
