"""The artifact appendix that EuroSys and NDSS ask for: in Markdown, and in LaTeX for the paper.

`make` fills one structure from the experiments' declarations, the claims with their verdicts, and
the measured trials; `appendix_text` turns it into text. Minutes and megabytes are those of the
trials that the paper shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from benchpaper import results
from benchpaper.analysis import claim_rows
from benchpaper.analysis.claim_rows import ClaimRow
from benchpaper.artifact import checklist
from benchpaper.artifact.appendix_text import HUMAN_MINUTES, Appendix, Item, latex, markdown
from benchpaper.core import checksums, settings
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.spec import Experiment
from benchpaper.paper.provenance import inputs_of
from benchpaper.results import accepted
from benchpaper.results.import_record import record_of

NAMES = ("appendix.md", "appendix.tex")


def write(project: Project, site: str, source: str, experiments: Sequence[str]) -> None:
    """Write appendix.md and appendix.tex below the build folder."""
    build = project.build(site, source)
    appendix = make(project, site, source, experiments)
    for name, text in zip(NAMES, (markdown(appendix), latex(appendix)), strict=True):
        atomic_write(build / name, text)
    checksums.note(build, "appendix", [build / name for name in NAMES])


def make(project: Project, site: str, source: str, experiments: Sequence[str]) -> Appendix:
    """Return the appendix as plain data: badges, requirements, claims, and experiments."""
    rows = claim_rows.read(project.build(site, source))
    scales = settings.scales(project.root)
    chosen = [
        _experiment(project, site, source, number, name, rows)
        for number, name in enumerate(experiments, 1)
    ]
    numbers = {item["name"]: item["id"] for item in chosen}
    claims = [
        {
            "id": row.id,
            "sentence": row.sentence,
            "verdict": row.verdict,
            "experiment": numbers[row.experiment],
        }
        for row in rows
        if row.experiment in numbers
    ]
    return {
        "source": source,
        "badges": checklist.badges(project),
        "experiments": chosen,
        "claims": claims,
        "minutes": {
            scale: sum(item["minutes"][scale] for item in chosen) for scale in scales.names
        },
        "human": HUMAN_MINUTES * sum(not item["imported"] for item in chosen),
        "needs": _needs(chosen),
        "machine": settings.needs(project.root),
        "scales": scales,
    }


def _experiment(
    project: Project,
    site: str,
    source: str,
    number: int,
    name: str,
    rows: Sequence[ClaimRow],
) -> Item:
    experiment = catalog.load(project, name)
    folder = project.results(site, source) / name
    table, described = results.read(folder / results.TRIALS)
    record = record_of(described)
    same = {
        "id": f"E{number}",
        "name": name,
        "title": experiment.title,
        "question": experiment.question,
        "claims": [row.id for row in rows if row.experiment == name],
        "rows": [row for row in rows if row.experiment == name],
        "imported": record,
    }
    scales = settings.scales(project.root)
    if record:
        return {**same, "needs": [], "minutes": dict.fromkeys(scales.names, 0.0), "inputs": []}
    frame = table.select(["cell", "block", "scale", "state", "seconds", "overhead_s"]).to_pandas()
    measured = frame[frame["state"] == results.MEASURED]
    per_cell = measured.groupby("cell")["seconds"].median().to_dict()
    minutes = {scale: _minutes(experiment, scale, per_cell) for scale in scales.names}
    minutes[frame["scale"].iloc[0]] = float(frame["seconds"].sum() + frame["overhead_s"].sum()) / 60
    needs = sorted(
        {need for cell in experiment.cells(scales.paper) for need in experiment.capabilities(cell)}
    )
    return {
        **same,
        "needs": needs,
        "measured_scale": frame["scale"].iloc[0],
        "trials": len(measured),
        "minutes": minutes,
        "disk_mb": sum(
            (folder / kind).stat().st_size for kind in (results.OBSERVATIONS, results.TRIALS)
        )
        / 1e6,
        "scratch_mb": max(experiment.scale(scale).disk_mb for scale in scales.names),
        "inputs": [str(item) for item in inputs_of(described)],
        "accepted": [str(change) for change in accepted.read(folder)],
        "scaled": [_scaled(experiment, scale) for scale in scales.names],
    }


def _minutes(experiment: Experiment, scale: str, per_cell: Mapping[str, float]) -> float:
    """Return the minutes at a scale: the measured seconds of each cell, times the blocks.

    If no cell was measured, the declared seconds count.
    """
    announced = experiment.scale(scale)
    seconds = sum(
        per_cell.get(cell.id, 0.0 if per_cell else announced.trial_seconds)
        for cell in experiment.cells(scale)
    )
    return announced.blocks * seconds / 60


def _scaled(experiment: Experiment, scale: str) -> dict[str, Any]:
    cells, announced = len(experiment.cells(scale)), experiment.scale(scale)
    counts = ", ".join(
        f"{name} {count:,}"
        for name, count in announced.counts.items()
        if isinstance(count, (int, float))
    )
    return {"scale": scale, "cells": cells, "blocks": announced.blocks, "counts": counts}


def _needs(chosen: Sequence[Item]) -> list[dict[str, Any]]:
    names = sorted({need for item in chosen for need in item["needs"]})
    return [
        {
            "name": name,
            "meaning": find_capability(name).meaning,
            "remedy": find_capability(name).remedy,
            "experiments": [item["id"] for item in chosen if name in item["needs"]],
        }
        for name in names
    ]
