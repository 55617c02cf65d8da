"""How long trials took, for the price of a plan: here at the same scale, else in the reference.

What is known least is the author's guess, `Scale.trial_seconds`. So each cell costs what its trials
took at this site and scale, by whatever code; else what they took in the reference at this scale;
else what the author declared.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchpaper import results
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design.plan import Plan
from benchpaper.results import journal

LOCAL = "local"  # the site whose reference counts for sites without one
FAR_FACTOR, FAR_LEAST_S = 3.0, 1.0  # between declared and measured seconds, worth a remark


@dataclass(frozen=True)
class Times:
    """Seconds of a trial, {cell: median}: `here`, and in the `reference`."""

    here: Mapping[str, float]
    reference: Mapping[str, float]

    @property
    def known(self) -> dict[str, float]:
        """{cell: seconds} as far as they were ever measured."""
        return {**self.reference, **self.here}

    def sources(self, plan: Plan) -> dict[str, int]:
        """Return {where the price of a cell comes from: cells}, without zeros."""
        counts = {"here": 0, "reference": 0, "declared": 0}
        for cell in filter(plan.cell_seconds.get, plan.cell_seconds):  # others are not testable
            kind = "here" if cell in self.here else "declared"
            counts["reference" if kind != "here" and cell in self.reference else kind] += 1
        return {kind: count for kind, count in counts.items() if count}


def measured(project: Project, site: str, folder: Path, name: str, scale: str) -> Times:
    """Return the times of an experiment whose results at `scale` lie below `folder`.

    The reference is that of the site; without one, that of site local.
    """
    stored = [project.results(where, REFERENCE) / name / results.TRIALS for where in (site, LOCAL)]
    reference = next((path for path in stored if path.exists()), stored[-1])
    return Times(_medians(_rows(folder)), _medians(_table(reference, scale)))


def remark(plan: Plan, times: Times, declared_s: float) -> str:
    """Return a line if trials take far more or less than declared; empty if not, or if unknown."""
    cells = list(filter(plan.cell_seconds.get, plan.cell_seconds))
    here = [times.here[cell] for cell in cells if cell in times.here]
    if len(here) < len(cells) or not here:
        return ""
    mean = sum(here) / len(here)
    small, large = sorted((mean, declared_s))
    if large < FAR_FACTOR * small or large - small < FAR_LEAST_S:
        return ""
    return (
        f"a trial took {mean:.2g} s on average, not trial_seconds={declared_s:g}; correct that for "
        f"scale {plan.scale} in experiments/{plan.experiment}/experiment.py"
    )


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the trials below a folder of results: collected, or of the blocks measured so far."""
    collected = folder / results.TRIALS
    if collected.exists():
        yield from _table(collected)
        return
    tables = sorted((folder / "blocks").glob(f"*.{results.TRIALS}"))
    for path in tables:
        yield from _table(path)
    finished = {path.name.partition(".")[0] for path in tables}
    for path in sorted((folder / "journal").glob("*.jsonl")):
        if path.name.partition("-")[0] not in finished:
            yield from (record.to_json() for record in journal.entries(path))


def _table(path: Path, scale: str = "") -> Iterator[dict[str, Any]]:
    """Yield the trials of a file, at one scale only if it is given; none if it is broken."""
    columns = ["cell", "scale", "attempts", "overhead_s"]
    with suppress(results.ResultsError):
        for row in results.read_columns(path, columns) if path.exists() else ():
            if scale in ("", row["scale"]):
                yield row


def _medians(rows: Iterator[dict[str, Any]]) -> dict[str, float]:
    """Return {cell: median seconds of a trial, all its attempts together} of what ever ran."""
    seconds: dict[str, list[float]] = {}
    for row in rows:
        if row["attempts"]:
            spent = sum(attempt["seconds"] for attempt in row["attempts"]) + row["overhead_s"]
            seconds.setdefault(row["cell"], []).append(spent)
    return {cell: median(values) for cell, values in seconds.items()}
