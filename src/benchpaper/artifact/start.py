"""`benchpaper init`: writes a project that runs as it is, for its author to change."""

import difflib
import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchpaper.artifact import scaffold
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project, slug

# {path in the project: template}
FILES = {
    "Snakefile": "Snakefile.txt",
    "pyproject.toml": "pyproject.toml.txt",
    "benchpaper.toml": "benchpaper.toml.txt",
    "reproduce": "reproduce.txt",
    ".ci/run": "ci.txt",
    ".gitignore": "gitignore.txt",
    "README.md": "README.md.txt",
    "CITATION.cff": "CITATION.cff.txt",
    "paper/main.tex": "main.tex.txt",
    "sites/local.yaml": "site.txt",
}
PROGRAMS = ("reproduce", ".ci/run")  # files that are run
FROM_US = ("Snakefile", "reproduce", ".ci/run", ".gitignore")  # the same in every project
TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
        "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Description:
    """What the author says of the new paper."""

    title: str
    authors: tuple[str, ...]
    licence: str = "Apache-2.0"
    experiment: str = "first/pipe_cost"  # FAMILY/NAME


def init(folder: Path, paper: Description) -> list[Path]:
    """Write the project's files below `folder`, which is made, and return their paths.

    Raises `UserError`, and writes nothing, if one of the files exists or the description is bad.
    """
    _check(paper)
    if taken := [name for name in (*FILES, "experiments", "analysis") if (folder / name).exists()]:
        raise UserError(
            f'"{folder}" already has {taken[0]}; give an empty folder: benchpaper init my-paper'
        )
    words = _words(folder, paper)
    written = []
    for name, template in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(scaffold.filled(f"project/{template}", words))
        if name in PROGRAMS:
            path.chmod(0o755)
        written.append(path)
    for name in ("experiments", "analysis"):
        (folder / name).mkdir()
    return [*written, *scaffold.new(Project(folder), paper.experiment)]


def upgrade(project: Project) -> str:
    """Return the difference of the project's files to those that `init` writes today.

    It is a patch with paths from the project's root, and empty if nothing differs. Only files that
    are the same in every project count.
    """
    texts: list[str] = []
    for name in FROM_US:
        path = project.root / name
        mine = path.read_text().splitlines(keepends=True) if path.exists() else []
        ours = scaffold.filled(f"project/{FILES[name]}", {}).splitlines(keepends=True)
        before = f"a/{name}" if mine else "/dev/null"
        texts += difflib.unified_diff(mine, ours, before, f"b/{name}")
    return "".join(texts)


def _check(paper: Description) -> None:
    for what, text in (("title", paper.title), *(("author", name) for name in paper.authors)):
        if not text.strip() or any(ord(letter) < 32 for letter in text):
            raise UserError(f"the {what} {text!r} must be one line of text; give it by --{what}")
    if not paper.authors:
        raise UserError('a paper needs an author; give --author NAME ("Anonymous" will do)')
    scaffold.check_name(paper.experiment)


def _words(folder: Path, paper: Description) -> dict[str, str]:
    scales = settings.Scales()  # the new benchpaper.toml names no others
    project = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "paper"
    return {
        "TITLE": paper.title,
        "TITLE_TOML": json.dumps(paper.title, ensure_ascii=False),  # also a string of TOML and YAML
        "TITLE_TEX": paper.title.translate(TEX),
        "AUTHORS_TOML": json.dumps(paper.authors, ensure_ascii=False),
        "AUTHORS_TEX": ", ".join(paper.authors).translate(TEX),
        "AUTHORS_CFF": "\n".join(
            f"  - name: {json.dumps(author, ensure_ascii=False)}" for author in paper.authors
        ),
        "DEFAULT": scales.default,
        "PAPER": scales.paper,
        "LICENCE": paper.licence,
        "LICENCE_TOML": json.dumps(paper.licence),
        "VERSION": version("benchpaper"),
        "SLUG": project,
        "NAME": paper.experiment,
        "FAMILY": paper.experiment.split("/")[0],
        "NOTEBOOK": slug(paper.experiment),
        "EXHIBIT": scaffold.exhibit(paper.experiment),
    }
