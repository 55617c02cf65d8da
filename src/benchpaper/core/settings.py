"""A project's `benchpaper.toml`: what the paper is, its scales and needs, in its author's words.

A project without the file, a table, or a key gets the values that stand here.
"""

import keyword
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from benchpaper.core.errors import UserError, did_you_mean
from benchpaper.core.project import REFERENCE, Project

FILE = "benchpaper.toml"
SCALE = re.compile(r"[a-z][a-z0-9_]{0,30}")  # it names folders

Table = TypeVar("Table", "Paper", "Scales", "Needs", "Card")


@dataclass(frozen=True)
class Paper:
    """The table [paper]."""

    title: str = ""
    authors: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    licence: str = ""
    main: str = "main.tex"  # below paper/
    supplement: str = ""  # below paper/, too: a second document, with what the first leaves out
    column_width_in: float = 3.3  # inches; figures are drawn at this width

    @property
    def documents(self) -> tuple[str, ...]:
        """The main files of the PDFs: the paper's, and the supplement's if there is one."""
        return tuple(name for name in (self.main, self.supplement) if name)


@dataclass(frozen=True)
class Scales:
    """The table [scales]: `names` from the quickest to the paper's own, which plans every cell."""

    names: tuple[str, ...] = ("smoke", "quick", "full")
    default: str = "quick"  # what is measured without --scale

    @property
    def quickest(self) -> str:
        """The scale that shows only that everything works."""
        return self.names[0]

    @property
    def paper(self) -> str:
        """The scale of the reference."""
        return self.names[-1]


@dataclass(frozen=True)
class Needs:
    """The table [needs]: sentences for the artifact appendix, without a full stop.

    `variables` are prefixes of variables that would change what the project's programs do.
    """

    hardware: str = "a Linux machine with two cores, or several as target hosts"
    software: str = (
        "Python 3.11 or newer; `./reproduce` installs all else, LaTeX for the PDF excepted"
    )
    data: str = "No data set is needed"
    disk: str = "about 1 GB"  # what set-up takes
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """What the report's first page shows of a family, as a row of the table [families].

    `answer` is the id of a claim, so that it follows the data, and `figure` the name of an exhibit.
    Without a row the page takes the first question, finding, and figure of the family.
    """

    question: str = ""
    answer: str = ""
    figure: str = ""


LISTS = ("authors", "keywords", "names", "variables")
TABLES = {"paper": Paper, "scales": Scales, "needs": Needs}
CONTROLS, FAMILIES = "controls", "families"


def read(root: Path) -> Paper:
    """Return what the paper of the project in `root` is.

    Raises `UserError` for a file that is no TOML, an unknown key, or a value of the wrong kind.
    """
    return _from(_content(root), "paper", Paper)


def scales(root: Path) -> Scales:
    """Return the scales of the project in `root`. Raises `UserError` as `read` does."""
    return _from(_content(root), "scales", Scales)


def scales_here() -> Scales:
    """Return the scales of the project around the working directory; outside any, the usual."""
    try:
        project = Project.find()
    except UserError:
        return Scales()
    return scales(project.root)


def needs(root: Path) -> Needs:
    """Return the needs of the project in `root`. Raises `UserError` as `read` does."""
    return _from(_content(root), "needs", Needs)


def cards(root: Path) -> dict[str, Card]:
    """Return {family: its card} of the project in `root`. Raises `UserError` as `read` does."""
    rows = _content(root).get(FAMILIES, {})
    if not isinstance(rows, dict):
        raise UserError(f"{FILE}: {FAMILIES} must be a table: [{FAMILIES}]")
    return {family: _from(rows, family, Card) for family in rows}


def controls(folder: Path, experiment: str) -> dict[str, list[Any]]:
    """Return {factor: levels} of an experiment's controls, for results in `folder`.

    That is its row in the table [controls] of the nearest file upwards: results from before
    experiments declared their controls have them from there. Raises `UserError` as `read` does.
    """
    root = next((at for at in [folder, *folder.parents] if (at / FILE).is_file()), folder)
    rows = _content(root).get(CONTROLS, {})
    named = rows.get(experiment, {}) if isinstance(rows, dict) else None
    if not isinstance(named, dict) or not all(isinstance(some, list) for some in named.values()):
        raise UserError(
            f"{FILE}: [{CONTROLS}] must give lists of levels: "
            '"family/name" = { system = ["in memory"] }'
        )
    return named


def parsed(data: bytes) -> Paper:
    """Return what the paper is, from the bytes of the file. Raises `UserError` as `read` does."""
    return _from(_parsed(data), "paper", Paper)


def _content(root: Path) -> dict[str, Any]:
    path = root / FILE
    return _parsed(path.read_bytes()) if path.exists() else {}


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        content = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{FILE} cannot be read: {error}; correct it") from None
    _refuse_unknown(content, [*TABLES, CONTROLS, FAMILIES], "table")
    return content


def _from(content: dict[str, Any], name: str, kind: type[Table]) -> Table:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise UserError(f"{FILE}: {name} must be a table: [{name}]")
    _refuse_unknown(table, [field.name for field in fields(kind)], "key")
    made = kind(**{key: _checked(key, value) for key, value in table.items()})
    if isinstance(made, Scales):
        _check_scales(made)
    return made


def _refuse_unknown(table: dict[str, Any], known: list[str], what: str) -> None:
    for name in table:
        if name not in known:
            hint = did_you_mean(name, known) or f"; known are {', '.join(known)}"
            raise UserError(f'{FILE}: unknown {what} "{name}"{hint}')


def _check_scales(made: Scales) -> None:
    if not made.names:
        raise UserError(f'{FILE}: names must name a scale at least: ["full"]')
    for name in made.names:
        bad = not SCALE.fullmatch(name) or name == REFERENCE or keyword.iskeyword(name)
        if bad or made.names.count(name) > 1:
            raise UserError(
                f'{FILE}: "{name}" is no name of a scale; names are different words in small '
                f'letters, not "{REFERENCE}", and no words of Python'
            )
    if made.default not in made.names:
        raise UserError(
            f'{FILE}: the default scale "{made.default}" is not one of {", ".join(made.names)}'
            f"{did_you_mean(made.default, made.names)}"
        )


def _checked(name: str, value: Any) -> Any:
    if name in LISTS:
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return tuple(value)
        raise UserError(f'{FILE}: {name} must be a list of texts: ["..."]')
    if name == "column_width_in":
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 20:
            return float(value)
        raise UserError(f"{FILE}: {name} must be a number of inches from 1 to 20, not {value!r}")
    if not isinstance(value, str):
        raise UserError(f"{FILE}: {name} must be a text, not {value!r}")
    if name in ("main", "supplement") and (not value.endswith(".tex") or Path(value).name != value):
        raise UserError(f'{FILE}: {name} must be a .tex file of paper/, such as "{name}.tex"')
    return value
