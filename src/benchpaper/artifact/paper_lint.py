"""The checks that look at how the paper reads: its figures, its tables, and its numbers.

They follow `benchpaper check`: each yields its problems, as "what is wrong; what to do". Those that
measure print read what is built from the reference.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from benchpaper.analysis import claim_rows
from benchpaper.artifact import print_sizes
from benchpaper.artifact.bundle.exhibit_check import tex_rows
from benchpaper.core import settings
from benchpaper.core.project import REFERENCE, Project
from benchpaper.paper import claims_tex, gather, labels
from benchpaper.paper.uses import COMMENT

INPUT = re.compile(r"\\(?:input|include)\{([^}]+)\}")
REFERENCES = re.compile(r"\\(?:[cC]ref|ref|autoref|pageref|labelcref)\*?\{([^}]*)\}")
NUMBER = re.compile(r"\\result(?:ci)?(?:\[[^]]*\])?\{")
FLOAT = re.compile(r"\\begin\{(figure|table|tabular)\*?\}.*?\\end\{\1\*?\}", re.S)
TABULAR = re.compile(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", re.S)
TABLE_USE = re.compile(r"\\exhibittable\{([^}]*)\}")
MAX_NUMBERS, MAX_COLUMNS, MAX_ROWS = 3, 7, 15
SHOWN_CHARACTERS = 50


def legible_figures(project: Project) -> Iterator[str]:
    """Figures have text of at least 7 pt in print, and no two texts on each other."""
    for build in _build(project):
        exhibits = gather.all_exhibits(build)
        scales = print_sizes.scales(build)
        for place, name in _named(project, "exhibitfigure"):
            if name not in exhibits or exhibits[name].exhibit.missing:
                continue
            path = build / exhibits[name].folder / exhibits[name].exhibit.files[0]
            for problem in print_sizes.problems(path, scales.get(name, 1.0)):
                yield f'figure "{name}" ({place}): {problem}'


def cited_floats(project: Project) -> Iterator[str]:
    """The text refers to every figure and table that it holds."""
    text = "\n".join(_text(path) for path in sorted(project.paper.rglob("*.tex")))
    cited = {
        name.strip()
        for group in REFERENCES.findall(text)
        for name in group.split("%")[0].split(",")
    }
    for kind, label, _ in labels.floats(project.paper):
        if label not in cited:
            yield f"no sentence refers to {kind.lower()} {label}; say what it shows, or take it out"


def small_tables(project: Project) -> Iterator[str]:
    """Tables of more than 7 columns or 15 rows are in the supplement, if there is one."""
    paper = settings.read(project.root)
    if not paper.supplement:
        return
    exhibits = {
        name: build / saved.folder / saved.exhibit.files[0]
        for build in _build(project)
        for name, saved in gather.all_exhibits(build).items()
        if saved.exhibit.kind == "table" and not saved.exhibit.missing
    }
    for path in document(project.paper, paper.main):
        where, text = path.relative_to(project.root), _text(path)
        for name in TABLE_USE.findall(text):
            if name in exhibits:
                rows = list(tex_rows(exhibits[name].read_text()))
                yield from _too_large(f'table "{name}" ({where})', rows)
        for body in TABULAR.findall(text):
            lines = [line.split("&") for line in body.split(r"\\")]
            yield from _too_large(f"a table of {where}", [row for row in lines if len(row) > 1])


def _too_large(what: str, rows: list[list[str]]) -> Iterator[str]:
    columns, count = max(map(len, rows), default=0), len(rows) - 1
    if columns > MAX_COLUMNS or count > MAX_ROWS:
        yield f"{what} has {columns} columns and {count} rows; move it to the supplement"


def few_numbers(project: Project) -> Iterator[str]:
    """No paragraph of the paper has more than three measured numbers."""
    for path in document(project.paper, settings.read(project.root).main):
        for paragraph in re.split(r"\n\s*\n|\\item\b", FLOAT.sub("", _text(path))):
            count = len(NUMBER.findall(paragraph))
            if count > MAX_NUMBERS:
                begin = " ".join(paragraph.split())[:SHOWN_CHARACTERS]
                yield (
                    f'{path.relative_to(project.root)}: the paragraph "{begin}..." has {count} '
                    "numbers; keep three, and leave the others to a table"
                )


def discussed_failures(project: Project) -> Iterator[str]:
    """The text names each claim that the reference contradicts."""
    paper = settings.read(project.root)
    text = "\n".join(map(_text, document(project.paper, paper.main)))
    for build in _build(project):
        for row in claim_rows.read(build):
            fails = claims_tex.MARKS[row.verdict] == claims_tex.FAILS
            if fails and not re.search(rf"\\claim(?:mark)?\{{{re.escape(row.id)}\}}", text):
                yield (
                    f"the reference contradicts claim {row.id}, and paper/{paper.main} does not "
                    f"name it; discuss it next to \\claimmark{{{row.id}}}"
                )


def document(paper: Path, main: str) -> list[Path]:
    """Return the files of a document of the paper: its main file, and those that it inputs."""
    files: dict[Path, None] = {}
    waiting = [paper / main]
    while waiting:
        path = waiting.pop(0)
        if path not in files and path.exists():
            files[path] = None
            names = INPUT.findall(_text(path))
            waiting += [
                paper / (name if name.endswith(".tex") else f"{name}.tex") for name in names
            ]
    return list(files)


def _text(path: Path) -> str:
    """Return a source without its comments."""
    return "\n".join(COMMENT.split(line)[0] for line in path.read_text().splitlines())


def _named(project: Project, macro: str) -> Iterator[tuple[str, str]]:
    """Yield (file, name) of each exhibit that the sources place by a macro."""
    for path in sorted(project.paper.rglob("*.tex")):
        for name in re.findall(rf"\\{macro}\{{([^}}]*)\}}", _text(path)):
            yield path.relative_to(project.root).as_posix(), name


def _build(project: Project) -> Iterator[Path]:
    """Yield the first build from the reference, if there is one."""
    builds = sorted(project.build("x", "y").parent.glob(f"*-{REFERENCE}"))
    yield from builds[:1]
