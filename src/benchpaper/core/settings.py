"""A project's `benchpaper.toml`: what the paper is, in its author's words."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchpaper.core.errors import UserError, did_you_mean

FILE = "benchpaper.toml"


@dataclass(frozen=True)
class Paper:
    """The table [paper]. A project without the file, or without a key, gets these values."""

    title: str = ""
    authors: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    licence: str = ""
    main: str = "main.tex"  # below paper/
    column_width_in: float = 3.3  # inches; figures are drawn at this width


def read(root: Path) -> Paper:
    """Return the settings of the project in `root`.

    Raises `UserError` for a file that is no TOML, an unknown key, or a value of the wrong kind.
    """
    path = root / FILE
    return parsed(path.read_bytes()) if path.exists() else Paper()


def parsed(data: bytes) -> Paper:
    """Return the settings in the bytes of the file. Raises `UserError` as `read` does."""
    try:
        content = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{FILE} cannot be read: {error}; correct it") from None
    _refuse_unknown(content, ["paper"], "table")
    table = content.get("paper", {})
    if not isinstance(table, dict):
        raise UserError(f"{FILE}: paper must be a table: [paper]")
    _refuse_unknown(table, [field.name for field in fields(Paper)], "key")
    return Paper(**{name: _checked(name, value) for name, value in table.items()})


def _refuse_unknown(table: dict[str, Any], known: list[str], what: str) -> None:
    for name in table:
        if name not in known:
            hint = did_you_mean(name, known) or f"; known are {', '.join(known)}"
            raise UserError(f'{FILE}: unknown {what} "{name}"{hint}')


def _checked(name: str, value: Any) -> Any:
    if name in ("authors", "keywords"):
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return tuple(value)
        raise UserError(f'{FILE}: {name} must be a list of texts: ["..."]')
    if name == "column_width_in":
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 20:
            return float(value)
        raise UserError(f"{FILE}: {name} must be a number of inches from 1 to 20, not {value!r}")
    if not isinstance(value, str):
        raise UserError(f"{FILE}: {name} must be a text, not {value!r}")
    if name == "main" and (not value.endswith(".tex") or Path(value).name != value):
        raise UserError(f'{FILE}: main must be a .tex file of paper/, such as "main.tex"')
    return value
