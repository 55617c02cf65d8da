"""`benchpaper new FAMILY/NAME`: writes an experiment that works, for its author to change.

It comes with a notebook, a claim and a test.
"""

import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from benchpaper.analysis import claims
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project, slug
from benchpaper.design import catalog

NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*/[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
MAX_NAME = 60  # characters; the name becomes part of the names of files, functions and exhibits
RESERVED = ("systems",)  # folders below experiments/ that hold no experiments
CLAIMS_HEAD = '''"""The claims of @FAMILY@; each bound is older than the results that it judges."""

from benchpaper import claim
'''


def new(project: Project, name: str) -> list[Path]:
    """Write the files of a new experiment and return their paths.

    Existing files stay unchanged, but the claims file of the family gets another claim. Raises
    `UserError` for a name that is invalid or taken.
    """
    _check(project, name)
    family = name.split("/")[0]
    words = {
        "NAME": name,
        "FAMILY": family,
        "FUNCTION": slug(name),
        "EXHIBIT": exhibit(name),
        "TITLE": name.split("/")[1].replace("_", " ").capitalize(),
        "CLAIM": _free_claim(project),
    }
    scales = settings.scales(project.root)
    words |= {"SCALES": _blocks(scales), "QUICKEST": scales.quickest}
    folder = project.experiments / name
    written = {
        folder / "experiment.py": filled("experiment.py.txt", words),
        folder / "program.py": filled("program.py.txt", words),
        project.notebook(name): notebook(filled("notebook.txt", words)),
        project.root / "tests" / "experiments" / f"test_{slug(name)}.py": filled(
            "test.py.txt", words
        ),
    }
    if there := [path for path in written if path.exists()]:
        raise UserError(
            f"{there[0].relative_to(project.root)} exists; move it away, or choose another name"
        )
    claimed = project.analysis / f"claims_{family}.py"
    before = claimed.read_text() if claimed.exists() else CLAIMS_HEAD.replace("@FAMILY@", family)
    written[claimed] = before + filled("claim.py.txt", words)
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(written)


def exhibit(name: str) -> str:
    """Return what the names of an experiment's exhibits begin with."""
    return slug(name).replace("_", "-").strip("-")


def check_name(name: str) -> None:
    """Raise `UserError` if no experiment may have this name."""
    if not NAME.fullmatch(name):
        form = "in small letters and digits, words joined by single underscores"
        raise UserError(f'experiment name "{name}" must be FAMILY/NAME {form}: caching/ttl')
    if len(name) > MAX_NAME:
        raise UserError(
            f'experiment name "{name[:20]}…" has {len(name)} characters; '
            f"choose a name of at most {MAX_NAME}"
        )
    for word in name.split("/"):
        if keyword.iskeyword(word):
            raise UserError(
                f'"{word}" is a word of Python, so nothing could be imported from '
                f"experiments/{name}; choose another"
            )
    if (family := name.split("/")[0]) in RESERVED:
        raise UserError(f'"{family}" holds what experiments share; choose another family')


def _check(project: Project, name: str) -> None:
    """Raise `UserError` for a name that is invalid or taken."""
    check_name(name)
    if any(slug(other).lower() == slug(name) for other in catalog.names(project)):
        raise UserError(
            f'experiment "{name}" is there already; '
            f"choose another name, or remove experiments/{name}"
        )
    if (project.experiments / name).exists():
        raise UserError(f"experiments/{name} exists and holds other code; choose another name")


def filled(template: str, words: Mapping[str, str]) -> str:
    """Return a template's text with each @WORD@ replaced."""
    text = (files("benchpaper.artifact") / "templates" / template).read_text()
    return re.sub(r"@([A-Z_]+)@", lambda match: words[match[1]], text)


def _blocks(scales: settings.Scales) -> str:
    """Return the first choice of blocks, as arguments: few, enough for an interval, and more."""
    start = scales.names.index(scales.default)
    blocks = [2] * start + [5] * (len(scales.names) - start)
    if len(scales.names) > 1:
        blocks[-1] = 15
    return ", ".join(f"{name}={count}" for name, count in zip(scales.names, blocks, strict=True))


def _free_claim(project: Project) -> str:
    numbers = [
        int(match[1])
        for claim in claims.load_claims(project)
        if (match := re.fullmatch(r"C(\d+)", claim.id))
    ]
    return f"C{max(numbers, default=0) + 1}"


def notebook(text: str) -> str:
    """Return a notebook as JSON from `text`.

    In `text` a line [markdown], [parameters] or [code] precedes each cell.
    """
    import nbformat

    cells = []
    for number, part in enumerate(
        re.split(r"^(?=\[(?:markdown|parameters|code)\]$)", text, flags=re.M)[1:]
    ):
        kind, source = part.split("\n", 1)
        make = nbformat.v4.new_markdown_cell if kind == "[markdown]" else nbformat.v4.new_code_cell
        tags = {"metadata": {"tags": ["parameters"]}} if kind == "[parameters]" else {}
        cells.append(make(source.strip("\n"), id=f"cell-{number:02d}", **tags))
    kernel = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)) + "\n"
