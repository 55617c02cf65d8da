"""The text of the report's pages, as MyST Markdown and notebook cells."""

import html
import re

from benchpaper import trail
from benchpaper.project import slug
from benchpaper.report import plots

MARKS = {"reproduced": "good", "contradicted": "bad", "holds in the reference": "good", "does not hold in the reference": "bad"}


def overview(manifests, rows, experiments, has_pdf, has_appendix):
    """The first page: verdicts, experiments, what else there is."""
    first = next(iter(manifests.values()))
    lines = [
        "# Results and verdicts", "", f"From {first['source']}, measured on {first['measured_on']}." + (' <a href="paper.pdf">The paper (PDF)</a>.' if has_pdf else ""), "",
        "## Claims", "", *_claims(rows), "", "## Experiments", "",
    ]  # fmt: skip
    for name in experiments:
        manifest = manifests[slug(name)]
        missing = sum(bool(entry["missing"]) for entry in manifest["exhibits"].values())
        gaps = f", {missing} of them not measured there" if missing else ""
        lines.append(f"- [{name}]({slug(name)}.ipynb): {len(manifest['exhibits'])} exhibits{gaps}; [where each comes from]({slug(name)}-trail.md)")
    listed = [slug(name) for name in experiments] + (["appendix"] if has_appendix else []) + [f"{slug(name)}-trail" for name in experiments]
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", ":maxdepth: 1", "", *listed, "```", ""])


def _claims(rows, link=True):
    if not rows:
        return ["No claims are made."]
    head = ["claim", "here", "verdict", "why"]
    body = []
    for row in rows:
        where = f' (<a href="{slug(row["experiment"])}.html">{html.escape(row["experiment"])}</a>)' if link else ""
        mark = MARKS.get(row["verdict"], "open")
        verdict = f'<span class="verdict {mark}">{html.escape(row["verdict"])}</span>'
        body.append([f"<strong>{row['id']}</strong> {html.escape(row['sentence'])}{where}", html.escape(row["text"] or "-"), verdict, html.escape(row["why"])])
    return [_table("Each claim of the paper, its value here, and the verdict", head, body)]


def _table(caption, head, body):
    """A table that scrolls by itself on a narrow screen; its cells are HTML already."""
    heads = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body)
    return (
        f'<div class="scrolls" tabindex="0" role="region" aria-label="{html.escape(caption)}"><table><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>\n"
    )


def experiment(notebook, results, manifest, about):
    """Return the page of an experiment: its executed notebook, with what was found before it and its provenance after it."""
    import nbformat

    def text(source):
        return nbformat.v4.new_markdown_cell(source)

    described = results.described
    key = slug(results.experiment)
    before = [
        text(f"# {described['title']}\n\n{described['question']}\n\nFrom {results.source}; [where each value comes from]({key}-trail.md)."),
        text("## Verdicts\n\n" + "\n".join(_claims(about["rows"], link=False))),
        text("## Numbers\n\n" + _numbers(manifest, key)), *map(text, _figures(manifest, about["figures"], key)),
    ]  # fmt: skip
    after = [
        text("## Beside the reference\n\n" + about["compared"]), text("## Hosts and provenance\n\n" + _provenance(results, manifest)),
    ]  # fmt: skip
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
    return any(kind.startswith("image/") for kind in output.get("data", {})) or "<Figure size" in str(output.get("data", {}).get("text/plain", ""))


def _numbers(manifest, key):
    body = []
    for name, entry in manifest["exhibits"].items():
        if entry["kind"] == "number":
            said = html.escape(trail.says(entry))
            body.append([f"<code>{name}</code>", said, f'<a href="{key}-trail.html#{name}" aria-label="How do you know {name}?">how do you know?</a>'])
    return _table("Numbers that the paper names", ["name", "value", "trail"], body) if body else "The paper names no number of it."


def _figures(manifest, figures, key):
    for name, entry in manifest["exhibits"].items():
        if entry["kind"] != "figure":
            continue
        know = f'<p><a href="{key}-trail.html#{name}" aria-label="How do you know {name}?">how do you know?</a></p>'
        if entry["missing"]:
            yield f"## Figure {name}\n\n*Not measured here: {entry['missing']}*\n"
            continue
        described = f"Figure {name}: {', '.join(entry['metrics'])} of {len(entry['cells'])} cells"
        yield (
            f'## Figure {name}\n\n<p><img src="pictures/{name}.png" alt="{html.escape(described)}; its values are in the table below" '
            f'class="exhibit" loading="lazy"></p>\n\n{_interactive(name, figures[name], described)}\n{know}\n'
        )


def _interactive(name, drawn, described):
    if drawn is None:
        return ""
    rows = [[html.escape(label), html.escape(str(place)), *map(html.escape, plots.shown(estimate))] for label, place, estimate in drawn["rows"]]
    table = _table(f"Values of {name}", ["series", html.escape(drawn["x"]), html.escape(drawn["y"]), "interval", "blocks"], rows)
    data = drawn["plot"].replace("</", "<\\/")
    return (
        f'<div class="plot" id="plot-{name}" role="img" aria-label="{html.escape(described)}, interactive"></div>\n'
        f'<script type="application/json" class="plot-data" data-plot="plot-{name}">{data}</script>\n'
        f"<details><summary>The values as a table</summary>{table}</details>\n"
    )


def _provenance(results, manifest):
    hosts = [[html.escape(name), html.escape(str(value))] for name, value in manifest["hosts"].items()]
    tools = [[html.escape(name), html.escape(str(value))] for name, value in manifest["tools"].items()]
    files = [[html.escape(about["path"]), f"<code>{about['sha256']}</code>"] for about in manifest["files"].values()]
    states = results.trial_df["state"].value_counts()
    commits = ", ".join(f"<code>{html.escape(commit[:12])}</code>" for commit in results.trial_df["git_commit"].unique())
    warnings = "".join(f"<li>{html.escape(str(warning))}</li>" for warning in results.warnings())
    return "\n".join([
        f"<p>{results.blocks} blocks; trials: {', '.join(f'{count} {state}' for state, count in states.items())}; code at commit {commits}.</p>",
        f"<p>Beware of:</p><ul>{warnings}</ul>" if warnings else "<p>Nothing disturbed the trials.</p>",
        _table("Hosts", ["fact", "value"], hosts), _table("Tools", ["tool", "version"], tools), _table("Data", ["file", "SHA-256"], files),
    ])  # fmt: skip


def trails(manifest, trials):
    """The page with the trail of each exhibit of an experiment, and of each cell that one names."""
    experiment = manifest["experiment"]
    lines = [
        f"# How do you know? {experiment}", "",
        f"Notebook `{manifest['notebook']}`, from {manifest['source']}. Back to [the experiment]({slug(experiment)}.ipynb).", "",
    ]  # fmt: skip
    places = {cell: f"cell-{number}" for number, cell in enumerate(dict.fromkeys(c for e in manifest["exhibits"].values() for c in e["cells"]))}
    for name, entry in manifest["exhibits"].items():
        said = trail.says(entry)
        cells = "".join(f'<li><a href="#{places[cell]}">{html.escape(cell)}</a></li>' for cell in entry["cells"])
        lines += [
            f"({name})=", f"## {entry['kind']} {name}", "", f"{_plain(said)}", "",
            f"Metrics: {', '.join(entry['metrics']) or 'reckoned by the notebook'}.", "",
            f"<details{' open' if len(entry['cells']) < 4 else ''}><summary>{len(entry['cells'])} cells</summary><ul>{cells}</ul></details>", "",
        ]  # fmt: skip
    lines += ["## Cells", ""]
    for cell, place in places.items():
        lines += _cell(place, trail.of_cell(cell, trials[cell]))
    return "\n".join(lines)


def _plain(text):
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", text)


def _cell(place, found):
    states = {}
    for one in found["trials"]:
        states[one["state"]] = states.get(one["state"], 0) + 1
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    commands = "\n".join(f"[{c['host']}] {' '.join(c['argv'])}  -> {c['status']}" for c in found["commands"])
    tools = ", ".join(f"{tool} {version}" for tool, version in found["tools"].items())
    first = found["trials"][0]["started"][:19]
    return [
        f'<h3 id="{place}">{html.escape(found["cell"])}</h3>', "",
        f"<p>{counts}; the first at {first} UTC; commit {html.escape(found['git_commit'][:12])}, code digest <code>{found['code_digest'][:16]}</code>; "
        f"{html.escape(tools)}.</p>", "",
        f'<pre tabindex="0" aria-label="Commands of one trial">{html.escape(commands) or "no command was run"}</pre>'.replace("\n\n", "\n"), "",
    ]  # fmt: skip
