"""The artifact appendix that EuroSys and NDSS ask for: in Markdown, and in LaTeX for the paper.

`make` fills one structure from the experiments' declarations, the claims with their verdicts, and
the measured trials; two writers turn it into text. Minutes and megabytes are those of the trials
that the paper shows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchpaper import results
from benchpaper.analysis.exhibits import tex
from benchpaper.artifact import checklist
from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import Project, verdict_rows
from benchpaper.design import catalog
from benchpaper.design.spec import SCALES, Experiment

NAMES = ("appendix.md", "appendix.tex")
HUMAN_MINUTES = 5  # per experiment, to start it and read its summary; an estimate

Appendix = dict[str, Any]  # what `make` returns
Item = dict[str, Any]  # an experiment in it


def write(project: Project, site: str, source: str, experiments: Sequence[str]) -> None:
    """Write appendix.md and appendix.tex below the build folder."""
    build = project.build(site, source)
    appendix = make(project, site, source, experiments)
    build.mkdir(parents=True, exist_ok=True)
    for name, text in zip(NAMES, (markdown(appendix), latex(appendix)), strict=True):
        part = (build / name).with_suffix(".part")
        part.write_text(text)
        part.replace(build / name)


def make(project: Project, site: str, source: str, experiments: Sequence[str]) -> Appendix:
    """Return the appendix as plain data: badges, requirements, claims, and experiments."""
    rows = verdict_rows(project.build(site, source))
    chosen = [
        _experiment(project, site, source, number, name, rows)
        for number, name in enumerate(experiments, 1)
    ]
    numbers = {item["name"]: item["id"] for item in chosen}
    claims = [
        {
            **{key: row[key] for key in ("id", "sentence", "asked", "text", "verdict")},
            "experiment": numbers[row["experiment"]],
        }
        for row in rows
        if row["experiment"] in numbers
    ]
    return {
        "source": source,
        "badges": checklist.badges(project),
        "experiments": chosen,
        "claims": claims,
        "minutes": {scale: sum(item["minutes"][scale] for item in chosen) for scale in SCALES},
        "human": HUMAN_MINUTES * len(chosen),
        "needs": _needs(chosen),
    }


def _experiment(
    project: Project,
    site: str,
    source: str,
    number: int,
    name: str,
    rows: Sequence[dict[str, Any]],
) -> Item:
    experiment = catalog.load(project, name)
    folder = project.results(site, source) / name
    table, _ = results.read(folder / results.TRIALS)
    frame = table.select(["cell", "block", "scale", "state", "seconds", "overhead_s"]).to_pandas()
    measured = frame[frame["state"] == results.MEASURED]
    per_cell = measured.groupby("cell")["seconds"].median().to_dict()
    minutes = {scale: _minutes(experiment, scale, per_cell) for scale in SCALES}
    minutes[frame["scale"].iloc[0]] = float(frame["seconds"].sum() + frame["overhead_s"].sum()) / 60
    needs = sorted(
        {need for cell in experiment.cells("full") for need in experiment.capabilities(cell)}
    )
    return {
        "id": f"E{number}",
        "name": name,
        "title": experiment.title,
        "question": experiment.question,
        "needs": needs,
        "claims": [row["id"] for row in rows if row["experiment"] == name],
        "rows": [row for row in rows if row["experiment"] == name],
        "measured_scale": frame["scale"].iloc[0],
        "trials": len(measured),
        "minutes": minutes,
        "disk_mb": sum(
            (folder / kind).stat().st_size for kind in (results.OBSERVATIONS, results.TRIALS)
        )
        / 1e6,
        "scratch_mb": max(experiment.scale(scale).disk_mb for scale in SCALES),
        "scaled": [_scaled(experiment, scale) for scale in SCALES],
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


def _time(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes >= 0.95 else f"{max(1, round(60 * minutes))} s"


def sections(appendix: Appendix) -> Iterator[tuple[str, Any]]:
    """Yield (kind, content) in order, for both writers.

    The content of "items" is (term, text) pairs; all other content is text. Text may have `code`.
    """
    yield "section", "Artifact appendix"
    yield (
        "text",
        (
            "Generated from the experiments' declarations, the claims and the measured trials. "
            "One command sets up and reproduces: `./reproduce`. It measures at scale quick; "
            "`./reproduce --from reference` rebuilds figures and PDF from the authors' results."
        ),
    )
    yield "subsection", "Badges sought"
    yield "items", [(badge["name"], _badge(badge)) for badge in appendix["badges"]]
    yield "subsection", "Requirements"
    yield (
        "text",
        (
            "Hardware: an x86-64 machine with two cores and 8 GiB of memory, or several as target "
            "hosts. Software: Debian 12 or 13 or Ubuntu 24.04, Python 3.11; all else is installed "
            "by `./reproduce` from `requirements.lock` and `packages.apt`. No data set is needed. "
            "What else single cells need is below; without it they are recorded as not testable, "
            "and printed as gaps."
        ),
    )
    if appendix["needs"]:
        yield (
            "items",
            [
                (
                    n["name"],
                    f"{n['meaning']} ({', '.join(n['experiments'])}). {_sentence(n['remedy'])}",
                )
                for n in appendix["needs"]
            ],
        )
    yield "subsection", "Set-up and basic test"
    yield (
        "text",
        (
            "Run `./reproduce --scale smoke`: it sets up (some minutes, about 2.3 GB, and 1.6 GB "
            "of system packages), measures every experiment "
            f"in small ({_time(appendix['minutes']['smoke'])} of measuring) and builds the paper. "
            "`.venv/bin/benchpaper doctor` tells what this machine cannot measure. "
            "`benchpaper check` goes through the committee's checklist."
        ),
    )
    yield "subsection", "Major claims"
    yield (
        "items",
        [
            (claim["id"], f"{claim['sentence']} ({claim['experiment']}; {claim['verdict']})")
            for claim in appendix["claims"]
        ],
    )
    yield "subsection", "Experiments"
    yield (
        "text",
        (
            f"All together: {_time(appendix['minutes']['quick'])} of measuring at scale quick, "
            f"{_time(appendix['minutes']['full'])} at scale full. "
            "A claim is reproduced when its whole interval lies on the right side of the bound "
            "and the estimate clears it by the noise floor; the bound is the allowed variation. "
            "Absolute values may differ between machines as far as the bounds let them."
        ),
    )
    for item in appendix["experiments"]:
        yield (
            "subsubsection",
            f"{item['id']}: {item['title']}"
            + (f" [{', '.join(item['claims'])}]" if item["claims"] else ""),
        )
        yield "items", _items(item)
    yield "subsection", "Why less is measured at the smaller scales"
    yield (
        "text",
        (
            "Every scale runs the same systems, programs and notebooks. Smoke has too few blocks "
            "for any interval and shows only that everything works. Quick has the five blocks "
            "that the smallest interval takes. Full is what the paper prints."
        ),
    )


def _badge(badge: Mapping[str, Any]) -> str:
    parts = [
        f"{'yes' if not problem else f'no ({problem})'}: {criterion}"
        for criterion, problem in badge["criteria"]
    ]
    return "; ".join(parts)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _items(item: Item) -> Iterator[tuple[str, str]]:
    smaller = "; ".join(
        f"{scaled['scale']} {scaled['cells']} cells in {scaled['blocks']} blocks"
        + (f" ({scaled['counts']})" if scaled["counts"] else "")
        for scaled in item["scaled"]
    )
    times = ", ".join(f"{_time(item['minutes'][scale])} at {scale}" for scale in SCALES)
    measured = f"{item['trials']:,} measured trials at scale {item['measured_scale']}"
    yield "Question", item["question"]
    yield (
        "How to run",
        f"`./reproduce {item['name']} --scale quick`, then `.venv/bin/benchpaper claims`",
    )
    yield (
        "Hardware",
        "any machine as above" if not item["needs"] else f"cells need: {', '.join(item['needs'])}",
    )
    yield (
        "Effort",
        f"{HUMAN_MINUTES} human-minutes (estimated); measuring {times} (from {measured})",
    )
    yield (
        "Disk",
        f"{item['disk_mb']:.2f} MB of results (measured); "
        f"scratch up to {item['scratch_mb']:g} MB (announced)",
    )
    for row in item["rows"]:
        expected = f"expected {row['asked']}" if row["asked"] else "its cells were not planned"
        yield (
            f"Result {row['id']}",
            f"{expected}; here {row['text'] or row['why']}: {row['verdict']}",
        )
    yield "Scaled down", smaller


def markdown(appendix: Appendix) -> str:
    """Return the appendix as Markdown."""
    lines: list[str] = []
    for kind, content in sections(appendix):
        if kind == "text":
            lines += [content, ""]
        elif kind == "items":
            lines += [*(f"- **{term}**: {text}" for term, text in content), ""]
        else:
            lines += [
                "#" * (1 + ("section", "subsection", "subsubsection").index(kind)) + f" {content}",
                "",
            ]
    return "\n".join(lines)


def latex(appendix: Appendix) -> str:
    r"""Return the appendix as LaTeX, for `\input` after `\appendix` or anywhere else."""
    lines = ["% Generated by benchpaper (appendix); do not edit."]
    for kind, content in sections(appendix):
        if kind == "text":
            lines += [_tex(content), ""]
        elif kind == "items":
            listed = [rf"\item[{_tex(term)}] {_tex(text)}" for term, text in content]
            lines += [r"\begin{description}\small", *listed, r"\end{description}"] if listed else []
        else:
            lines.append(rf"\{kind}{'*' if kind == 'subsubsection' else ''}{{{_tex(content)}}}")
    return "\n".join([*lines, ""])


def _tex(text: str) -> str:
    parts = re.split(r"`([^`]*)`", text)
    return "".join(
        rf"\texttt{{{tex(part)}}}".replace("--", "-{}-") if number % 2 else tex(part)
        for number, part in enumerate(parts)
    )
