"""The artifact appendix, as EuroSys and NDSS ask for it: in Markdown, and in LaTeX for the paper.

One structure (`make`) is filled from the experiments' declarations, the claims with their verdicts and the measured
trials; two writers turn it into text. Minutes and megabytes are those of the trials behind the paper at hand.
"""

import re

from benchpaper import results
from benchpaper.analysis.exhibits import tex
from benchpaper.artifact import checklist
from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import verdict_rows
from benchpaper.design import catalog
from benchpaper.design.spec import SCALES

NAMES = ("appendix.md", "appendix.tex")
HUMAN_MINUTES = (
    5  # to start a command and to read its summary: the one figure here that is not measured
)


def write(project, site, source, experiments):
    """Write appendix.md and appendix.tex below the build folder."""
    build = project.build(site, source)
    found = make(project, site, source, experiments)
    build.mkdir(parents=True, exist_ok=True)
    for name, text in zip(NAMES, (markdown(found), latex(found))):
        part = (build / name).with_suffix(".part")
        part.write_text(text)
        part.replace(build / name)


def make(project, site, source, experiments):
    """Return the appendix as plain data: badges, requirements, claims, and one entry per experiment."""
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


def _experiment(project, site, source, number, name, rows):
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


def _minutes(experiment, scale, per_cell):
    """Minutes at another scale: the measured seconds of each cell times the blocks there; what was not measured, as
    announced."""
    announced = experiment.scale(scale)
    seconds = sum(
        per_cell.get(cell.id, 0.0 if per_cell else announced.trial_seconds)
        for cell in experiment.cells(scale)
    )
    return announced.blocks * seconds / 60


def _scaled(experiment, scale):
    cells, announced = len(experiment.cells(scale)), experiment.scale(scale)
    counts = ", ".join(
        f"{name} {count:,}"
        for name, count in announced.counts.items()
        if isinstance(count, (int, float))
    )
    return {"scale": scale, "cells": cells, "blocks": announced.blocks, "counts": counts}


def _needs(chosen):
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


def _time(minutes):
    return f"{minutes:.1f} min" if minutes >= 0.95 else f"{max(1, round(60 * minutes))} s"


def sections(found):
    """Yield (kind, ...) in order: what both writers turn into their own words. `items` are (term, text) pairs; text may
    have `code`."""
    yield "section", "Artifact appendix"
    yield (
        "text",
        (
            "Generated from the experiments' declarations, the claims and the measured trials. One command sets "
            "up and reproduces: "
            "`./reproduce`. It measures at scale quick; `./reproduce --from reference` rebuilds figures and PDF "
            "from the authors' results."
        ),
    )
    yield "subsection", "Badges sought"
    yield "items", [(badge["name"], _badge(badge)) for badge in found["badges"]]
    yield "subsection", "Requirements"
    yield (
        "text",
        (
            "Hardware: an x86-64 machine with two cores and 8 GiB of memory, or several as target hosts. "
            "Software: Debian 12 or 13 or Ubuntu "
            "24.04, Python 3.11; all else is installed by `./reproduce` from `requirements.lock` and "
            "`packages.apt`. No data set is needed. "
            "What else single cells need is below; without it they are recorded as not testable, and printed as gaps."
        ),
    )
    if found["needs"]:
        yield (
            "items",
            [
                (
                    n["name"],
                    f"{n['meaning']} ({', '.join(n['experiments'])}). {_sentence(n['remedy'])}",
                )
                for n in found["needs"]
            ],
        )
    yield "subsection", "Set-up and basic test"
    yield (
        "text",
        (
            "Run `./reproduce --scale smoke`: it sets up (some minutes, about 2.3 GB, and 1.6 GB of system "
            "packages), measures every experiment "
            f"in small ({_time(found['minutes']['smoke'])} of measuring) and builds the paper. "
            "`.venv/bin/benchpaper doctor` tells what this "
            "machine cannot measure. `benchpaper check` goes through the committee's checklist."
        ),
    )
    yield "subsection", "Major claims"
    yield (
        "items",
        [
            (claim["id"], f"{claim['sentence']} ({claim['experiment']}; {claim['verdict']})")
            for claim in found["claims"]
        ],
    )
    yield "subsection", "Experiments"
    yield (
        "text",
        (
            f"All together: {_time(found['minutes']['quick'])} of measuring at scale quick, "
            f"{_time(found['minutes']['full'])} at scale full. "
            "A claim is reproduced when its whole interval lies on the right side of the bound and the estimate "
            "clears it by the noise floor; "
            "the bound is the allowed variation. Absolute values may differ between machines as far as the "
            "bounds let them."
        ),
    )
    for item in found["experiments"]:
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
            "Every scale runs the same systems, programs and notebooks. Smoke has too few blocks for any "
            "interval and shows only that "
            "everything works. Quick has the five blocks that the smallest interval takes. Full is what the "
            "paper prints."
        ),
    )


def _badge(badge):
    parts = [
        f"{'yes' if not problem else f'no ({problem})'}: {criterion}"
        for criterion, problem in badge["criteria"]
    ]
    return "; ".join(parts)


def _sentence(text):
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _items(item):
    smaller = "; ".join(
        f"{one['scale']} {one['cells']} cells in {one['blocks']} blocks"
        + (f" ({one['counts']})" if one["counts"] else "")
        for one in item["scaled"]
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
        f"{item['disk_mb']:.2f} MB of results (measured); scratch up to {item['scratch_mb']:g} MB (announced)",
    )
    for row in item["rows"]:
        expected = f"expected {row['asked']}" if row["asked"] else "its cells were not planned"
        yield (
            f"Result {row['id']}",
            f"{expected}; here {row['text'] or row['why']}: {row['verdict']}",
        )
    yield "Scaled down", smaller


def markdown(found):
    """Return the appendix as Markdown."""
    lines = []
    for kind, content in sections(found):
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


def latex(found):
    """Return the appendix as LaTeX, to be input after \\appendix or anywhere."""
    lines = ["% Generated by benchpaper (appendix); do not edit."]
    for kind, content in sections(found):
        if kind == "text":
            lines += [_tex(content), ""]
        elif kind == "items":
            listed = [rf"\item[{_tex(term)}] {_tex(text)}" for term, text in content]
            lines += [r"\begin{description}\small", *listed, r"\end{description}"] if listed else []
        else:
            lines.append(rf"\{kind}{'*' if kind == 'subsubsection' else ''}{{{_tex(content)}}}")
    return "\n".join([*lines, ""])


def _tex(text):
    parts = re.split(r"`([^`]*)`", text)
    return "".join(
        rf"\texttt{{{tex(part)}}}".replace("--", "-{}-") if number % 2 else tex(part)
        for number, part in enumerate(parts)
    )
