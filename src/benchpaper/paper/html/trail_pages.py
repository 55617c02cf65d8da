"""The text of the report's trail pages: how each exhibit came about, as MyST Markdown."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchpaper.core.project import slug
from benchpaper.paper import provenance
from benchpaper.paper.gather import Manifest
from benchpaper.paper.html.pages import counted


def trails(manifest: Manifest, trials: Mapping[str, Sequence[provenance.Trial]]) -> str:
    """Return the page with the trail of each exhibit of an experiment, and of each of its cells.

    `trials` are {cell: its trials}.
    """
    name = manifest["experiment"]
    exhibits = manifest["exhibits"]
    cells = dict.fromkeys(cell for entry in exhibits.values() for cell in entry["cells"])
    anchors = {cell: f"cell-{number}" for number, cell in enumerate(cells)}
    lines = [
        f"# How do you know? {name}",
        "",
        f"Notebook `{manifest['notebook']}`, from {manifest['source']}. "
        f"Back to [the experiment]({slug(name)}.ipynb).",
        "",
    ]
    for exhibit, entry in exhibits.items():
        lines += _exhibit(exhibit, entry, anchors)
    lines += ["## Cells", ""]
    for cell, anchor in anchors.items():
        lines += _cell(anchor, provenance.of_cell(cell, trials[cell]))
    return "\n".join(lines)


def _exhibit(name: str, entry: Mapping[str, Any], anchors: Mapping[str, str]) -> list[str]:
    cells = "".join(
        f'<li><a href="#{anchors[cell]}">{html.escape(cell)}</a></li>' for cell in entry["cells"]
    )
    is_open = " open" if len(entry["cells"]) < 4 else ""
    summary = counted(len(entry["cells"]), "cell")
    return [
        f"({name})=",
        f"## {entry['kind']} {name}",
        "",
        _plain(provenance.says(entry)),
        "",
        f"Metrics: {', '.join(entry['metrics']) or 'computed by the notebook'}.",
        "",
        f"<details{is_open}><summary>{summary}</summary><ul>{cells}</ul></details>",
        "",
    ]


def _plain(text: str) -> str:
    """Return text with everything escaped that is special to Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", text)


def _cell(anchor: str, trail: provenance.Trail) -> list[str]:
    states: dict[str, int] = {}
    for trial in trail["trials"]:
        states[trial["state"]] = states.get(trial["state"], 0) + 1
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    commands = "\n".join(
        f"[{c['host']}] {' '.join(c['argv'])}  -> {c['status']}" for c in trail["commands"]
    )
    tools = ", ".join(f"{tool} {version}" for tool, version in trail["tools"].items())
    first = trail["trials"][0]["started"][:19]
    listing = (
        '<pre tabindex="0" aria-label="Commands of one trial">'
        f"{html.escape(commands) or 'no command was run'}</pre>"
    )
    return [
        f'<h3 id="{anchor}">{html.escape(trail["cell"])}</h3>',
        "",
        f"<p>{counts}; the first at {first} UTC; commit {html.escape(trail['git_commit'][:12])}, "
        f"code digest <code>{trail['code_digest'][:16]}</code>; {html.escape(tools)}.</p>",
        "",
        listing.replace("\n\n", "\n"),  # an empty line would end the HTML
        "",
    ]
