"""From a label in the PDF ("Figure 3", "Table 1") to the exhibits that are printed there."""

import re
from collections.abc import Iterator
from pathlib import Path

from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.paper.uses import COMMENT

PRINTED = re.compile(r"(figure|fig|table|tab)\.?\s*~?(S?\d+)", re.I)
FLOAT = re.compile(r"\\begin\{(figure|table)\*?\}(.*?)\\end\{\1\*?\}", re.S)
LABEL = re.compile(r"\\label\{([^}]+)\}")
AUX = re.compile(r"\\newlabel\{([^}@]+)\}\{\{([^}]*)\}")
EXHIBIT = re.compile(
    r"\\(?:exhibitfigure|exhibittable)\{([^}]*)\}|\\((?:claims|findings|checks)table)"
)


def is_printed(name: str) -> bool:
    """Return whether a name looks like a label in the PDF."""
    return bool(PRINTED.fullmatch(name.strip()))


def exhibits(project: Project, build: Path, name: str) -> list[str]:
    """Return the names of the exhibits in one figure or table of the PDF.

    `name` is a label as printed ("Figure 3") or as LaTeX knows it ("fig:latency"). Raises
    `UserError`, naming the printed labels, when there is no such figure or table.
    """
    paper = settings.read(project.root)
    written = [build / "latex" / Path(main).with_suffix(".aux") for main in paper.documents]
    if not written[0].exists():
        raise UserError(
            f"build/{build.name} has no typeset paper, so the number of {name} is unknown; "
            "run ./reproduce first"
        )
    texts = (path.read_text(errors="replace") for path in written if path.exists())
    numbers = dict(pair for text in texts for pair in AUX.findall(text))
    match, labels = None, []
    for kind, label, names in floats(project.paper):
        printed = f"{kind} {numbers.get(label, '?')}"
        labels.append(printed)
        if name == label or _same(name, printed):
            match = names
    if match is None:
        raise UserError(
            f'"{name}" is not in the paper of build/{build.name} '
            f"(there are: {', '.join(sorted(labels))})"
        )
    if not match:
        raise UserError(f'"{name}" is drawn by the paper itself, from no results')
    return match


def floats(paper: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (Figure or Table, label, names of its exhibits) from the paper's sources."""
    for path in sorted(paper.rglob("*.tex")):
        text = "\n".join(COMMENT.split(line)[0] for line in path.read_text().splitlines())
        for kind, body in FLOAT.findall(text):
            names = [name or "claims" for name, _ in EXHIBIT.findall(body)]
            for label in LABEL.findall(body):
                yield kind.capitalize(), label, names


def _same(name: str, printed: str) -> bool:
    match = PRINTED.fullmatch(name.strip())
    if not match:
        return False
    kind = "figure" if match[1].lower().startswith("fig") else "table"
    return f"{kind} {match[2]}".lower() == printed.lower()
