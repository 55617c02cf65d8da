"""The report's gallery of all exhibits by name, and its page of how to make each figure again."""

import html
from collections.abc import Iterator, Mapping, Sequence

from benchpaper.analysis.manifests import Exhibit, Manifest
from benchpaper.core.project import REFERENCE, slug

MACROS = {"figure": "exhibitfigure", "table": "exhibittable", "number": "result"}


def page(manifests: Mapping[str, Manifest]) -> str:
    """Return the gallery: each exhibit with its name as LaTeX takes it, which a button copies.

    `manifests` are {experiment: manifest}.
    """
    lines = [
        "# Exhibits by name",
        "",
        "What a paper may print. The button copies the name as LaTeX takes it.",
        "",
        '<p><label>Find <input type="search" data-find="exhibit"></label> '
        '<span role="status" class="filtered"></span></p>',
        "",
    ]
    for experiment, manifest in manifests.items():
        lines += [f"## {experiment}", ""]
        shown = [
            _item(name, exhibit, slug(experiment))
            for kind in MACROS
            for name, exhibit in manifest.exhibits.items()
            if exhibit.kind == kind
        ]
        lines += [f'<ul class="gallery">{"".join(shown)}</ul>', ""]
    return "\n".join(lines)


def _item(name: str, exhibit: Exhibit, key: str) -> str:
    """Return an exhibit with what it shows, and its name."""
    site, _, plain = name.rpartition("/")
    option = f"[site={site}]" if site else ""
    latex = html.escape(rf"\{MACROS[exhibit.kind]}{option}{{{plain}}}")
    anchor = name.replace("/", "-").lower()
    shows = html.escape(str(exhibit))
    if exhibit.kind == "figure" and not exhibit.missing:
        shows = f'<img src="pictures/{name}.png" loading="lazy" alt="Figure {html.escape(name)}">'
    elif exhibit.kind == "table" and not exhibit.missing:
        shows = f"table of {', '.join(map(html.escape, exhibit.metrics[:4])) or 'texts'}"
    return (
        f'<li data-exhibit="{html.escape(name)}"><div>{shows}</div><code>{latex}</code> '
        f'<button type="button" data-copy="{latex}" aria-label="copy {latex}">copy</button> '
        f'<a href="{key}-trail.html#{anchor}" aria-label="trail of {html.escape(name)}">trail</a>'
        "</li>"
    )


def compared(families: Sequence[str]) -> str:
    """Return the page that compares this run with the reference: one picture for each family."""
    lines = ["# Compared with the reference", ""]
    if not families:
        lines += [
            "There is nothing to compare: these are the reference results, or no claim has a value "
            "on both sides.",
            "",
        ]
    for family in families:
        described = f"The claims of {family}: value here over value in the reference"
        lines += [
            f"## {family}",
            "",
            f'<p><img src="pictures/{family}-claims.png" class="exhibit" loading="lazy" '
            f'alt="{html.escape(described)}"></p>',
            "",
            "The pages of the experiments have every cell.",
            "",
        ]
    return "\n".join(lines)


def reproduce(manifests: Mapping[str, Manifest], scale: str) -> str:
    """Return the page with the three commands for each figure; `scale` is what a reviewer has."""
    lines = [
        "# Reproduce a figure",
        "",
        "Each figure takes three commands: draw it again from the authors' results, measure anew "
        "on this machine, and compare the two.",
        "",
    ]
    for experiment, manifest in manifests.items():
        figures = [name for name, some in manifest.exhibits.items() if some.kind == "figure"]
        for name in figures:
            lines += [f"## {name}", "", *_commands(experiment, manifest, scale), ""]
    return "\n".join(lines)


def commands(experiment: str, scale: str) -> list[str]:
    """Return the commands that redraw, measure, and compare the figures of an experiment."""
    return [
        f"./reproduce {experiment} figures --from {REFERENCE}",
        f"./reproduce {experiment} figures --scale {scale}",
        f".venv/bin/benchpaper compare {experiment} --scale {scale}",
    ]


def _commands(experiment: str, manifest: Manifest, scale: str) -> Iterator[str]:
    three = commands(experiment, scale)
    yield f"Of [{experiment}]({slug(experiment)}.ipynb)."
    yield ""
    if manifest.imported:
        yield "Others measured it; nothing is measured here."
        yield ""
        three = three[:1]
    text = "\n".join(three)
    yield f'<pre tabindex="0" aria-label="Commands">{html.escape(text)}</pre>'
    yield ""
    yield f'<p><button type="button" data-copy="{html.escape(text)}">copy</button></p>'
