"""Exhibits and their manifests: what a notebook has saved, as its exhibits.json holds it.

Everything that prints or checks exhibits reads this module; it loads neither NumPy nor pandas.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from benchpaper.analysis.recipes import Recipe, RecipeJson
from benchpaper.core.errors import UserError
from benchpaper.core.project import REMEDY, derived

MANIFEST = "exhibits.json"


class NumberJson(TypedDict):
    """A `Number` in a manifest."""

    kind: Literal["number"]
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    missing: str
    failed: int
    text: str | None
    interval: str
    how: RecipeJson | None
    metrics: list[str]
    cells: list[str]
    warnings: list[str]


class TableNumberJson(TypedDict):
    """A `TableNumber` in a manifest."""

    row: int
    column: int
    how: RecipeJson


class FileExhibitJson(TypedDict):
    """A `FileExhibit` in a manifest."""

    kind: Literal["figure", "table"]
    missing: str
    file: str
    numbers: list[TableNumberJson]
    metrics: list[str]
    cells: list[str]
    warnings: list[str]


class FileJson(TypedDict):
    """A `ResultsFile` in a manifest."""

    path: str
    sha256: str


class ManifestJson(TypedDict):
    """A `Manifest` in exhibits.json."""

    experiment: str
    notebook: str
    source: str
    site: str
    scale: str
    blocks: int
    hosts: dict[str, str]
    tools: dict[str, str]
    measured_on: str
    files: dict[str, FileJson]
    exhibits: dict[str, NumberJson | FileExhibitJson]
    imported: NotRequired[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Traced:
    """The trail of an exhibit within its results, and the warnings about the trials of its cells.

    All are empty for an exhibit that the notebook computed by itself. `missing` says why nothing
    was measured, and is empty otherwise.
    """

    missing: str
    metrics: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Number(_Traced):
    """A number of the paper: its value with its interval, and their text.

    `value` and `text` are None for a gap. `how` computes the number again without the notebook; it
    is None if that takes the notebook.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    failed: int
    text: str | None
    interval: str
    how: Recipe | None
    kind: Literal["number"] = "number"

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the saved files: a number has no file."""
        return ()

    def __str__(self) -> str:
        if self.missing:
            return f"not measured here: {self.missing}"
        return f"{self.text} {self.interval}".strip() + f" (n = {self.n} blocks)"

    def to_json(self) -> NumberJson:
        """Return the number as plain data."""
        return {
            "kind": self.kind,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "unit": self.unit,
            "missing": self.missing,
            "failed": self.failed,
            "text": self.text,
            "interval": self.interval,
            "how": self.how.to_json() if self.how else None,
            "metrics": list(self.metrics),
            "cells": list(self.cells),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class TableNumber:
    """A number in a table that has a recipe; rows and columns count from 0, without the header."""

    row: int
    column: int
    how: Recipe

    def to_json(self) -> TableNumberJson:
        """Return the number as plain data."""
        return {"row": self.row, "column": self.column, "how": self.how.to_json()}


@dataclass(frozen=True, kw_only=True)
class FileExhibit(_Traced):
    """A figure or a table of the paper, in the file that LaTeX includes.

    `numbers` are those of a table that can be computed again without the notebook.
    """

    kind: Literal["figure", "table"]
    file: str
    numbers: tuple[TableNumber, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the saved files: none for a gap, and a bitmap too for a figure."""
        if self.missing:
            return ()
        bitmap = (self.file.replace(".pdf", ".png"),) if self.kind == "figure" else ()
        return (self.file, *bitmap)

    def __str__(self) -> str:
        return f"not measured here: {self.missing}" if self.missing else self.file

    def to_json(self) -> FileExhibitJson:
        """Return the figure or table as plain data."""
        return {
            "kind": self.kind,
            "missing": self.missing,
            "file": self.file,
            "numbers": [number.to_json() for number in self.numbers],
            "metrics": list(self.metrics),
            "cells": list(self.cells),
            "warnings": list(self.warnings),
        }


Exhibit: TypeAlias = Number | FileExhibit


@dataclass(frozen=True)
class ResultsFile:
    """A file of results: its path below the results' folder, and its SHA-256 as hex."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What one notebook has saved, and the results that it read.

    `hosts` has the facts `role.fact`, `files` are {kind of table: file}, and `exhibits` {name:
    exhibit}. `measured_on` is a day, as 2026-11-24. `imported` is the record of the import, as
    plain data, if others measured the results; `measured_on` is then the day of the import.
    """

    experiment: str
    notebook: str
    source: str
    site: str
    scale: str
    blocks: int
    hosts: Mapping[str, str]
    tools: Mapping[str, str]
    measured_on: str
    files: Mapping[str, ResultsFile]
    exhibits: Mapping[str, Exhibit]
    imported: Mapping[str, Any] | None = None

    def to_json(self) -> ManifestJson:
        """Return the manifest as plain data."""
        plain: ManifestJson = {
            "experiment": self.experiment,
            "notebook": self.notebook,
            "source": self.source,
            "site": self.site,
            "scale": self.scale,
            "blocks": self.blocks,
            "hosts": dict(self.hosts),
            "tools": dict(self.tools),
            "measured_on": self.measured_on,
            "files": {
                kind: {"path": file.path, "sha256": file.sha256}
                for kind, file in self.files.items()
            },
            "exhibits": {name: exhibit.to_json() for name, exhibit in self.exhibits.items()},
        }
        if self.imported:
            plain["imported"] = dict(self.imported)
        return plain

    @classmethod
    def from_json(cls, content: ManifestJson) -> "Manifest":
        """Return the manifest that `to_json` wrote.

        Raises `AttributeError`, `KeyError`, or `TypeError` for data of another form.
        """
        plain: dict[str, Any] = {
            **content,
            "files": {kind: ResultsFile(**file) for kind, file in content["files"].items()},
            "exhibits": {name: _exhibit(entry) for name, entry in content["exhibits"].items()},
        }
        return cls(**plain)


def _exhibit(entry: NumberJson | FileExhibitJson) -> Exhibit:
    plain: dict[str, Any] = {**entry}
    plain |= {key: tuple(plain[key]) for key in ("metrics", "cells", "warnings")}
    if plain["kind"] != "number":
        numbers = tuple(
            TableNumber(**{**number, "how": Recipe.from_json(number["how"])})
            for number in plain["numbers"]
        )
        return FileExhibit(**{**plain, "numbers": numbers})
    return Number(**{**plain, "how": Recipe.from_json(plain["how"]) if plain["how"] else None})


def read(path: Path) -> Manifest:
    """Return the manifest at `path`. Raises `UserError` if the file holds anything else."""
    try:
        return Manifest.from_json(derived(path, dict))  # type: ignore[arg-type]
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{path.name} of {path.parent.name} has another form "
            f"({type(error).__name__}: {error}); {REMEDY}"
        ) from None


def read_all(build: Path) -> dict[str, Manifest]:
    """Return {notebook slug: manifest} of all notebooks that were run below the folder `build`."""
    paths = sorted((build / "exhibits").glob(f"*/{MANIFEST}"))
    return {path.parent.name: read(path) for path in paths}
