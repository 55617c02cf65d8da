"""From what stands in the PDF ("Figure 3", "Table 1") to the exhibit that is printed there, by LaTeX's own labels."""

import re

from benchpaper.core.errors import UserError
from benchpaper.paper import typeset

PRINTED = re.compile(r"(figure|fig|table|tab)\.?\s*~?(\d+)", re.I)
FLOAT = re.compile(r"\\begin\{(figure|table)\*?\}(.*?)\\end\{\1\*?\}", re.S)
LABEL = re.compile(r"\\label\{([^}]+)\}")
AUX = re.compile(r"\\newlabel\{([^}@]+)\}\{\{([^}]*)\}")
EXHIBIT = re.compile(r"\\(?:exhibitfigure|exhibittable)\{([^}]*)\}|\\(claimstable)")


def is_printed(name):
    """Say whether a name is a label as it stands in the PDF."""
    return bool(PRINTED.fullmatch(name.strip()))


def exhibits(project, build, name):
    """Return the names of the exhibits in the figure or table called `name` in the PDF ("Figure 3"), or with the label
    of that name (fig:latency). Raises `UserError` naming those that there are."""
    aux = build / "latex" / "main.aux"
    if not aux.exists():
        raise UserError(
            f"build/{build.name} has no typeset paper, so nobody knows what is {name}; run ./reproduce first"
        )
    numbers = dict(AUX.findall(aux.read_text(errors="replace")))
    found, known = None, []
    for kind, label, names in floats(project.paper):
        printed = f"{kind} {numbers.get(label, '?')}"
        known.append(printed)
        if name == label or _same(name, printed):
            found = names
    if found is None:
        raise UserError(
            f'"{name}" is not in the paper of build/{build.name} (there are: {", ".join(sorted(known))})'
        )
    if not found:
        raise UserError(f'"{name}" is drawn by the paper itself, from no results')
    return found


def _same(name, printed):
    match = PRINTED.fullmatch(name.strip())
    return (
        bool(match)
        and f"{'figure' if match[1].lower().startswith('fig') else 'table'} {match[2]}"
        == printed.lower()
    )


def floats(paper):
    """Yield (Figure or Table, label, names of its exhibits) of the paper's sources."""
    for path in sorted(paper.rglob("*.tex")):
        text = "\n".join(typeset.COMMENT.split(line)[0] for line in path.read_text().splitlines())
        for kind, body in FLOAT.findall(text):
            names = [name or "claims" for name, claims in EXHIBIT.findall(body)]
            for label in LABEL.findall(body):
                yield kind.capitalize(), label, names
