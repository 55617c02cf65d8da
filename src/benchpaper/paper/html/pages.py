"""The text of the report's pages, as MyST Markdown and notebook cells."""

import html
import json
import re

from benchpaper.core.project import slug
from benchpaper.paper import provenance, typeset
from benchpaper.paper.html import plots

MARKS = {
    "reproduced": "good",
    "contradicted": "bad",
    "holds in the reference": "good",
    "does not hold in the reference": "bad",
}


def overview(manifests, rows, experiments, has_pdf, has_appendix):
    """The first page: verdicts, experiments, what else there is."""
    where, days = typeset.origin(list(manifests.values()))
    pdf = ' <a href="paper.pdf">The paper (PDF)</a>.' if has_pdf else ""
    listed = [slug(name) for name in experiments] + (["appendix"] if has_appendix else [])
    return "\n".join(
        [
            "# Results and verdicts",
            "",
            f"From {where}, measured on {days}.{pdf}",
            "",
            "## Claims",
            "",
            *_claims(rows),
            "",
            "## Experiments",
            "",
            *(_listed(name, manifests[slug(name)]) for name in experiments),
            "",
            *_pages_below(listed),
            "",
        ]
    )


def _listed(name, manifest):
    """The overview's line on an experiment."""
    missing = typeset.gaps(manifest["exhibits"])
    gaps = f", {missing} of them not measured there" if missing else ""
    trail_page = f"[where each comes from]({slug(name)}-trail.md)"
    return f"- [{name}]({slug(name)}.ipynb): {_counted(len(manifest['exhibits']), 'exhibit')}{gaps}; {trail_page}"


def _pages_below(listed):
    """Tells Sphinx which pages lie below this one."""
    return ["```{toctree}", ":hidden:", ":maxdepth: 1", "", *listed, "```"]


def _counted(count, what):
    return f"{count} {what}{'' if count == 1 else 's'}"


def _claims(rows, link=True):
    if not rows:
        return ["No claims are made."]
    body = []
    for row in rows:
        where = (
            f' (<a href="{slug(row["experiment"])}.html">{html.escape(row["experiment"])}</a>)'
            if link
            else ""
        )
        sentence = f"<strong>{row['id']}</strong> {html.escape(row['sentence'])}{where}"
        verdict = f'<span class="verdict {MARKS.get(row["verdict"], "open")}">{html.escape(row["verdict"])}</span>'
        body.append([sentence, html.escape(row["text"] or "-"), verdict, html.escape(row["why"])])
    return [
        _table(
            "Each claim of the paper, its value here, and the verdict",
            ["claim", "here", "verdict", "why"],
            body,
        )
    ]


def _table(caption, head, body):
    """A table, its cells HTML already. On a phone each row becomes a block, in which the head of its column precedes
    each cell; the roles keep it a table for screen readers then. What is still too wide scrolls by itself."""
    heads = "".join(f'<th scope="col" role="columnheader">{cell}</th>' for cell in head)
    rows = "".join(f'<tr role="row">{"".join(map(_cell_of, head, row))}</tr>' for row in body)
    caption = html.escape(caption)
    return (
        f'<div class="scrolls" tabindex="0" role="region" aria-label="{caption}"><table '
        f'role="table"><caption>{caption}</caption>'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead><tbody '
        f'role="rowgroup">{rows}</tbody></table></div>\n'
    )


def _cell_of(head, cell):
    return f'<td role="cell" data-head="{html.escape(head)}">{cell}</td>'


def experiment(notebook, results, manifest, about):
    """Return the page of an experiment: its executed notebook, with what was found before it and its provenance after
    it."""
    import nbformat

    def text(source):
        return nbformat.v4.new_markdown_cell(source)

    described = results.described
    key = slug(results.experiment)
    before = [
        text(
            f"# {described['title']}\n\n{described['question']}\n\nFrom {results.source}; [where each value comes from]({key}-trail.md)."
        ),
        text("## Verdicts\n\n" + "\n".join(_claims(about["rows"], link=False))),
        text("## Numbers\n\n" + _numbers(manifest, key)),
        *map(text, _figures(manifest, about["figures"], key)),
    ]
    after = [
        text("## Beside the reference\n\n" + about["compared"]),
        text("## Hosts and provenance\n\n" + _provenance(results, manifest)),
        text("\n".join(_pages_below([f"{key}-trail"]))),
    ]
    notebook = nbformat.from_dict(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if cell.cell_type == "markdown":  # the page has its own title
            cell.source = re.sub(r"^(#+) ", r"#\1 ", cell.source, flags=re.M)
        else:
            cell.outputs = [output for output in cell.outputs if not _is_figure(output)]
    notebook.cells = [*before, text("## The notebook, as it was run"), *notebook.cells, *after]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def _is_figure(output):
    """A picture, which stands on the page already with a text for those who do not see it."""
    data = output.get("data", {})
    return any(kind.startswith("image/") for kind in data) or "<Figure size" in str(
        data.get("text/plain", "")
    )


def _numbers(manifest, key):
    numbers = {
        name: entry for name, entry in manifest["exhibits"].items() if entry["kind"] == "number"
    }
    if not numbers:
        return "The paper names no number of it."
    body = [
        [f"<code>{name}</code>", html.escape(provenance.says(entry)), _know(name, key)]
        for name, entry in numbers.items()
    ]
    return _table("Numbers that the paper names", ["name", "value", "trail"], body)


def _know(name, key):
    return f'<a href="{key}-trail.html#{name}" aria-label="How do you know {name}?">how do you know?</a>'


def _figures(manifest, figures, key):
    for name, entry in manifest["exhibits"].items():
        if entry["kind"] != "figure":
            continue
        if entry["missing"]:
            yield f"## Figure {name}\n\n*Not measured here: {entry['missing']}*\n"
            continue
        metrics, cells = _enumerated(entry["metrics"]), _counted(len(entry["cells"]), "cell")
        described = html.escape(f"Figure {name}: {metrics} of {cells}")
        drawn = figures[name]
        values = "; its values are in the table below" if drawn else ""
        yield (
            f'## Figure {name}\n\n<p><img src="pictures/{name}.png" alt="{described}{values}" class="exhibit" '
            'loading="lazy"></p>\n\n'
            f"{_interactive(name, drawn, described) if drawn else ''}\n<p>{_know(name, key)}</p>\n"
        )


def _enumerated(metrics):
    """The first metrics by name: a text for those who do not see the picture is to be short."""
    return ", ".join(metrics[:4]) + (
        f" and {len(metrics) - 4} more metrics" if len(metrics) > 4 else ""
    )


def _interactive(name, drawn, described):
    rows = [
        [
            html.escape(metric),
            html.escape(label),
            html.escape(str(place)),
            *map(html.escape, plots.shown(estimate)),
        ]
        for metric, label, place, estimate in drawn["rows"]
    ]
    table = _table(
        f"Values of {name}",
        ["metric", "series", html.escape(drawn["x"]) or "cell", "value", "interval", "blocks"],
        rows,
    )
    data = json.dumps(drawn["plots"]).replace("</", "<\\/")
    options = "".join(f"<option>{html.escape(metric)}</option>" for metric in drawn["plots"])
    chosen = (
        f'<p><label>Metric <select data-plot="plot-{name}">{options}</select></label></p>\n'
        if len(drawn["plots"]) > 1
        else ""
    )
    return (
        f'{chosen}<div class="plot" id="plot-{name}" role="img" aria-label="{described}, interactive"></div>\n'
        f'<script type="application/json" class="plot-data" data-plot="plot-{name}">{data}</script>\n'
        f"<details><summary>The values as a table</summary>{table}</details>\n"
    )


def _provenance(results, manifest):
    hosts = [
        [html.escape(name), html.escape(str(value))] for name, value in manifest["hosts"].items()
    ]
    tools = [
        [html.escape(name), html.escape(str(value))] for name, value in manifest["tools"].items()
    ]
    files = [
        [html.escape(about["path"]), f"<code>{about['sha256']}</code>"]
        for about in manifest["files"].values()
    ]
    states = results.trial_df["state"].value_counts()
    commits = ", ".join(
        f"<code>{html.escape(commit[:12])}</code>"
        for commit in results.trial_df["git_commit"].unique()
    )
    warnings = "".join(f"<li>{html.escape(str(warning))}</li>" for warning in results.warnings())
    return "\n".join(
        [
            f"<p>{results.blocks} blocks; trials: {', '.join(f'{count} {state}' for state, count in states.items())}; code at commit {commits}.</p>",
            f"<p>Beware of:</p><ul>{warnings}</ul>"
            if warnings
            else "<p>Nothing disturbed the trials.</p>",
            _table("Hosts", ["fact", "value"], hosts),
            _table("Tools", ["tool", "version"], tools),
            _table("Data", ["file", "SHA-256"], files),
        ]
    )


def trails(manifest, trials):
    """The page with the trail of each exhibit of an experiment, and of each cell that one names."""
    experiment = manifest["experiment"]
    lines = [
        f"# How do you know? {experiment}",
        "",
        f"Notebook `{manifest['notebook']}`, from {manifest['source']}. Back to [the experiment]({slug(experiment)}.ipynb).",
        "",
    ]
    places = {
        cell: f"cell-{number}"
        for number, cell in enumerate(
            dict.fromkeys(c for e in manifest["exhibits"].values() for c in e["cells"])
        )
    }
    for name, entry in manifest["exhibits"].items():
        said = provenance.says(entry)
        cells = "".join(
            f'<li><a href="#{places[cell]}">{html.escape(cell)}</a></li>' for cell in entry["cells"]
        )
        lines += [
            f"({name})=",
            f"## {entry['kind']} {name}",
            "",
            f"{_plain(said)}",
            "",
            f"Metrics: {', '.join(entry['metrics']) or 'reckoned by the notebook'}.",
            "",
            f"<details{' open' if len(entry['cells']) < 4 else ''}><summary>{_counted(len(entry['cells']), 'cell')}</summary><ul>{cells}</ul></details>",
            "",
        ]
    lines += ["## Cells", ""]
    for cell, place in places.items():
        lines += _cell(place, provenance.of_cell(cell, trials[cell]))
    return "\n".join(lines)


def _plain(text):
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", text)


def _cell(place, found):
    states = {}
    for one in found["trials"]:
        states[one["state"]] = states.get(one["state"], 0) + 1
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    commands = "\n".join(
        f"[{c['host']}] {' '.join(c['argv'])}  -> {c['status']}" for c in found["commands"]
    )
    tools = ", ".join(f"{tool} {version}" for tool, version in found["tools"].items())
    first = found["trials"][0]["started"][:19]
    return [
        f'<h3 id="{place}">{html.escape(found["cell"])}</h3>',
        "",
        f"<p>{counts}; the first at {first} UTC; commit {html.escape(found['git_commit'][:12])}, code digest "
        f"<code>{found['code_digest'][:16]}</code>; "
        f"{html.escape(tools)}.</p>",
        "",
        f'<pre tabindex="0" aria-label="Commands of one trial">{html.escape(commands) or "no command was run"}</pre>'.replace(
            "\n\n", "\n"
        ),
        "",
    ]
