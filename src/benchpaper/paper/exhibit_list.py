r"""The list of all figures and tables, and those that the paper's sources do not place.

LaTeX reads it as exhibit-list.tex. `\exhibitindex` prints each name with its page, and
`\otherexhibits` typesets the rest, so that a supplement leaves out nothing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchpaper.analysis.exhibits import tex
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.project import Project
from benchpaper.paper import gather
from benchpaper.paper.gather import Gathered
from benchpaper.paper.uses import uses

FILE = "exhibit-list.tex"


def write(project: Project, build: Path, path: Path) -> None:
    """Write the list for the exhibits in a build folder."""
    exhibits = {
        name: saved
        for name, saved in gather.all_exhibits(build).items()
        if saved.exhibit.kind != "number"
    }
    placed = {name for _, _, name in uses(project.paper, exhibits)}
    others = {name: saved for name, saved in exhibits.items() if name not in placed}
    lines = [
        "% Generated from the notebooks' manifests and the paper's sources; do not edit.",
        r"\newcommand\exhibitindex{%",
        *_index(exhibits),
        "}",
        r"\newcommand\otherexhibits{%",
        *(_other(name, saved) for name, saved in others.items()),
        "}",
        rf"\newcommand\otherexhibitscount{{{len(others)}}}",
        "",
    ]
    atomic_write(path, "\n".join(lines))


def _index(exhibits: Mapping[str, Gathered]) -> Iterator[str]:
    """Yield a heading for each experiment, and a line for each of its figures and tables."""
    last = ""
    for name, saved in sorted(exhibits.items(), key=lambda item: (item[1].folder, item[0])):
        if saved.manifest.experiment != last:
            last = saved.manifest.experiment
            yield rf"  \bpindexhead{{{tex(last)}}}%"
        yield rf"  \bpindexline{{{name}}}{{{saved.exhibit.kind}}}%"


def _other(name: str, saved: Gathered) -> str:
    """Return an exhibit that no source places, with a caption that says what it shows."""
    metrics = ", ".join(saved.exhibit.metrics)
    what = f"{saved.manifest.experiment}: {metrics}" if metrics else saved.manifest.experiment
    return rf"  \bpother{{{saved.exhibit.kind}}}{{{name}}}{{{tex(what)}}}%"
