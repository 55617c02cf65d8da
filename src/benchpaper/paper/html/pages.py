"""The text of the report's pages, as MyST Markdown and notebook cells."""

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from benchpaper.analysis.estimates import Results
from benchpaper.analysis.manifests import Manifest
from benchpaper.core.project import slug
from benchpaper.paper.html import plots
from benchpaper.results import count_states, shown_state
from benchpaper.results.import_record import ImportRecord

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLD = "<details><summary>Its code and its outputs</summary>"
UNFOLD = "</details>"


def pages_below(listed: Sequence[str]) -> list[str]:
    """Return the lines that tell Sphinx which pages are below this one."""
    return ["```{toctree}", ":hidden:", ":maxdepth: 1", "", *listed, "```"]


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural if needed."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def table(
    caption: str, head: Sequence[str], body: Sequence[Sequence[str]], marks: Sequence[str] = ()
) -> str:
    """Return a table whose cells are HTML already; `marks` are more attributes of each row.

    On a phone each row becomes a block, with the column's head before each cell. The roles keep it
    a table for screen readers. A table that is still too wide scrolls on its own.
    """
    heads = "".join(f'<th scope="col" role="columnheader">{cell}</th>' for cell in head)
    rows = "".join(
        f'<tr role="row" {mark}>{"".join(map(_cell_of, head, row))}</tr>'
        for row, mark in zip(body, marks or [""] * len(body), strict=True)
    )
    caption = html.escape(caption)
    return (
        f'<div class="scrolls" tabindex="0" role="region" aria-label="{caption}"><table '
        f'role="table"><caption>{caption}</caption>'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead><tbody '
        f'role="rowgroup">{rows}</tbody></table></div>\n'
    )


def _cell_of(head: str, cell: str) -> str:
    return f'<td role="cell" data-head="{html.escape(head)}">{cell}</td>'


def experiment(
    notebook: "NotebookNode",
    results: Results,
    manifest: Manifest,
    verdicts: Sequence[str],
    compared: str,
    figures: Mapping[str, plots.Drawn | None],
) -> "NotebookNode":
    """Return the page of an experiment, as a notebook.

    The page shows the figures, the `verdicts`, and the numbers; then the comparison with the
    reference (`compared`) and the provenance; at the end, folded, the executed notebook.
    """
    import nbformat

    def text(source: str) -> "NotebookNode":
        return nbformat.v4.new_markdown_cell(source)

    described = results.described
    key = slug(results.experiment)
    before = [
        text(
            f"# {described['title']}\n\n{described['question']}\n\n"
            f"From {results.source}; [where each value comes from]({key}-trail.md); "
            "[how to make it again](reproduce.md)."
        ),
        *map(text, _figures(manifest, figures, key)),
        text("## Verdicts\n\n" + "\n".join(verdicts)),
        text("## Numbers\n\n" + _numbers(manifest, key)),
        text("## Compared with the reference\n\n" + compared),
        text("## Hosts and provenance\n\n" + _provenance(results, manifest)),
        text("## The notebook, as it was run\n\n" + FOLD),
    ]
    after = [text(UNFOLD), text("\n".join(pages_below([f"{key}-trail"])))]
    notebook = nbformat.from_dict(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if cell.cell_type == "markdown":  # a heading would end what is folded
            cell.source = re.sub(r"^#+ (.*)$", r"**\1**\n", cell.source, flags=re.M)
        else:
            cell.outputs = [output for output in cell.outputs if not _is_figure(output)]
    notebook.cells = [*before, *notebook.cells, *after]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def _is_figure(output: "NotebookNode") -> bool:
    """Return whether an output is a picture; the page has it already, with an alternative text."""
    data = output.get("data", {})
    return any(kind.startswith("image/") for kind in data) or "<Figure size" in str(
        data.get("text/plain", "")
    )


def _numbers(manifest: Manifest, key: str) -> str:
    numbers = {
        name: exhibit for name, exhibit in manifest.exhibits.items() if exhibit.kind == "number"
    }
    if not numbers:
        return "The paper shows no number of this experiment."
    body = [
        [f"<code>{name}</code>", html.escape(str(exhibit)), _know(name, key)]
        for name, exhibit in numbers.items()
    ]
    return table("Numbers that the paper shows", ["name", "value", "trail"], body)


def _know(name: str, key: str) -> str:
    label = f"How do you know {name}?"
    anchor = name.replace("/", "-").lower()  # as Sphinx makes it from the label
    return f'<a href="{key}-trail.html#{anchor}" aria-label="{label}">how do you know?</a>'


def _figures(
    manifest: Manifest, figures: Mapping[str, plots.Drawn | None], key: str
) -> Iterator[str]:
    for name, exhibit in manifest.exhibits.items():
        if exhibit.kind != "figure":
            continue
        if exhibit.missing:
            yield f"## Figure {name}\n\n*Not measured here: {exhibit.missing}*\n"
            continue
        count = len(exhibit.cells) + sum(map(len, exhibit.elsewhere.values()))
        metrics, cells = _enumerated(exhibit.metrics), counted(count, "cell")
        described = html.escape(f"Figure {name}: {metrics} of {cells}")
        drawn = figures[name]
        values = "; its values are in the table below" if drawn else ""
        yield (
            f'## Figure {name}\n\n<p><img src="pictures/{name}.png" alt="{described}{values}" '
            'class="exhibit" loading="lazy"></p>\n\n'
            f"{_interactive(name, drawn, described) if drawn else ''}\n<p>{_know(name, key)}</p>\n"
        )


def _enumerated(metrics: Sequence[str]) -> str:
    """Return the first metrics by name; an alternative text should be short."""
    return ", ".join(metrics[:4]) + (
        f" and {len(metrics) - 4} more metrics" if len(metrics) > 4 else ""
    )


def _interactive(name: str, drawn: plots.Drawn, described: str) -> str:
    rows = [
        [
            html.escape(metric),
            html.escape(label),
            html.escape(str(place)),
            *map(html.escape, plots.shown(estimate)),
        ]
        for metric, label, place, estimate in drawn.rows
    ]
    values = table(
        f"Values of {name}",
        ["metric", "series", html.escape(drawn.x) or "cell", "value", "interval", "blocks"],
        rows,
    )
    data = json.dumps(drawn.plots).replace("</", "<\\/")
    options = "".join(f"<option>{html.escape(metric)}</option>" for metric in drawn.plots)
    chosen = (
        f'<p><label>Metric <select data-plot="plot-{name}">{options}</select></label></p>\n'
        if len(drawn.plots) > 1
        else ""
    )
    return (
        f'<p><button type="button" data-explore="plot-{name}" aria-label="Explore {name}">'
        f"Explore</button></p>\n"
        f'<div hidden>{chosen}<div class="plot" id="plot-{name}" role="img" '
        f'aria-label="{described}, interactive"></div></div>\n'
        f'<script type="application/json" class="plot-data" data-plot="plot-{name}">{data}'
        "</script>\n"
        f"<details><summary>The values as a table</summary>{values}</details>\n"
    )


def _imported(record: ImportRecord, manifest: Manifest) -> str:
    """Return where imported results come from."""
    rows = [[html.escape(key), html.escape(text)] for key, text in record.trail.items()]
    files = [
        [html.escape(file.path), f"<code>{file.sha256}</code>"] for file in manifest.files.values()
    ]
    return "\n".join(
        [
            "<p>Imported: others measured these results, and nothing was measured here.</p>",
            table("Import", ["fact", "value"], rows),
            table("Data", ["file", "SHA-256"], files),
        ]
    )


def _provenance(results: Results, manifest: Manifest) -> str:
    if results.imported:
        return _imported(results.imported, manifest)
    hosts = [[html.escape(name), html.escape(str(value))] for name, value in manifest.hosts.items()]
    tools = [[html.escape(name), html.escape(str(value))] for name, value in manifest.tools.items()]
    files = [
        [html.escape(file.path), f"<code>{file.sha256}</code>"] for file in manifest.files.values()
    ]
    trials = results.trial_df[["state", "reason"]].itertuples(index=False, name=None)
    states = count_states(shown_state(*trial) for trial in trials)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    commits = ", ".join(
        f"<code>{html.escape(commit[:12])}</code>"
        for commit in results.trial_df["git_commit"].unique()
    )
    warnings = "".join(f"<li>{html.escape(str(warning))}</li>" for warning in results.warnings())
    return "\n".join(
        [
            f"<p>{results.blocks} blocks; trials: {counts}; code at commit {commits}.</p>",
            f"<p>Beware of:</p><ul>{warnings}</ul>"
            if warnings
            else "<p>Nothing disturbed the trials.</p>",
            table("Hosts", ["fact", "value"], hosts),
            table("Tools", ["tool", "version"], tools),
            table("Data", ["file", "SHA-256"], files),
        ]
    )
