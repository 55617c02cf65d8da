"""The text of the report's trail pages: how each exhibit came about, as MyST Markdown."""

import html
import re
from collections.abc import Mapping, Sequence

from benchpaper.analysis.manifests import Exhibit, Manifest
from benchpaper.core.project import slug
from benchpaper.paper.html.pages import counted
from benchpaper.paper.provenance import CellTrail, EnvironmentOfResults, InputOfResults
from benchpaper.results.accepted import AcceptedChange
from benchpaper.results.import_record import record_of


def trails(
    manifest: Manifest,
    of_cells: Mapping[str, CellTrail],
    inputs: Sequence[InputOfResults] = (),
    environments: Sequence[EnvironmentOfResults] = (),
    changes: Sequence[AcceptedChange] = (),
) -> str:
    """Return the page with the trail of each exhibit of an experiment, and of each of its cells.

    `of_cells` are {cell: its trail}; `inputs` are what the trials read, and
    `environments` what their commands ran in; `changes` of their code were accepted.
    """
    name = manifest.experiment
    exhibits = manifest.exhibits
    cells = dict.fromkeys(cell for exhibit in exhibits.values() for cell in exhibit.cells)
    anchors = {cell: f"cell-{number}" for number, cell in enumerate(cells)}
    lines = [
        f"# How do you know? {name}",
        "",
        f"Notebook `{manifest.notebook}`, from {manifest.source}. "
        f"Back to [the experiment]({slug(name)}.ipynb).",
        "",
    ]
    if record := record_of({"imported": manifest.imported} if manifest.imported else {}):
        lines += ["Others measured this, and nothing of it was measured here.", ""]
        lines += [f"- {key}: {_plain(text)}" for key, text in record.trail.items()]
        lines.append("")
    for exhibit_name, exhibit in exhibits.items():
        lines += _exhibit(exhibit_name, exhibit, anchors)
    if inputs:
        lines += ["## Inputs", "", *(f"- {_plain(str(item))}" for item in inputs), ""]
    if environments:
        lines += ["## Environments", ""]
    for item in environments:
        lines += [f"- {_plain(str(item))}", *(f"  - {_plain(text)}" for text in item.contents), ""]
    if changes:
        lines += ["## Accepted changes", "", *(f"- {_plain(str(item))}" for item in changes), ""]
    lines += ["## Cells", ""]
    for cell, anchor in anchors.items():
        lines += (_imported_cell if manifest.imported else _cell)(anchor, of_cells[cell])
    return "\n".join(lines)


def _exhibit(name: str, exhibit: Exhibit, anchors: Mapping[str, str]) -> list[str]:
    cells = "".join(
        f'<li><a href="#{anchors[cell]}">{html.escape(cell)}</a></li>' for cell in exhibit.cells
    )
    stored = [
        html.escape(f"{cell}, site {site}")
        for site, of_site in exhibit.elsewhere.items()
        for cell in of_site
    ]
    cells += "".join(f"<li>{cell} (benchpaper explain {name})</li>" for cell in stored)
    count = len(exhibit.cells) + len(stored)
    is_open = " open" if count < 4 else ""
    summary = counted(count, "cell")
    return [
        f"({name})=",
        f"## {exhibit.kind} {name}",
        "",
        _plain(str(exhibit)),
        "",
        f"Metrics: {', '.join(exhibit.metrics) or 'computed by the notebook'}.",
        "",
        f"<details{is_open}><summary>{summary}</summary><ul>{cells}</ul></details>",
        "",
    ]


def _plain(text: str) -> str:
    """Return text with everything escaped that is special to Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", text)


def _imported_cell(anchor: str, trail: CellTrail) -> list[str]:
    """Return the lines on a cell that others measured: nothing is known but its trials' number."""
    name = html.escape(trail.cell)
    return [f'<h3 id="{anchor}">{name}</h3>', "", f"<p>{trail.states}.</p>", ""]


def _cell(anchor: str, trail: CellTrail) -> list[str]:
    commands = "\n".join(map(str, trail.commands))
    first = trail.trials[0].started[:19]
    listing = (
        '<pre tabindex="0" aria-label="Commands of one trial">'
        f"{html.escape(commands) or 'no command was run'}</pre>"
    )
    return [
        f'<h3 id="{anchor}">{html.escape(trail.cell)}</h3>',
        "",
        f"<p>{trail.states}; the first at {first} UTC; "
        f"commit {html.escape(trail.git_commit[:12])}, "
        f"code digest <code>{trail.code_digest[:16]}</code>; "
        f"{html.escape(trail.tool_versions)}.</p>",
        "",
        listing.replace("\n\n", "\n"),  # an empty line would end the HTML
        "",
    ]
