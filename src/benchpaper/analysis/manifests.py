"""Exhibits and their manifests: what a notebook has saved, as its exhibits.json holds it.

Everything that prints or checks exhibits reads this module; it loads neither NumPy nor pandas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from benchpaper.analysis.manifest_json import (
    FileExhibitJson,
    ManifestJson,
    NumberJson,
    StoredJson,
    TableNumberJson,
)
from benchpaper.analysis.manifest_json import FileJson as FileJson
from benchpaper.analysis.recipes import Recipe
from benchpaper.core.errors import UserError
from benchpaper.core.project import REMEDY, derived

MANIFEST = "exhibits.json"


@dataclass(frozen=True, kw_only=True)
class _Traced:
    """The trail of an exhibit within its results, and the warnings about the trials of its cells.

    All are empty for an exhibit that the notebook computed by itself. `elsewhere` are cells of
    stored results of other sites, by site. `missing` says why nothing was measured, and is empty
    otherwise.
    """

    missing: str
    metrics: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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
        entry: NumberJson = {
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
        if self.elsewhere:  # older manifests do not have it
            entry["elsewhere"] = {site: list(cells) for site, cells in self.elsewhere.items()}
        return entry


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
        entry: FileExhibitJson = {
            "kind": self.kind,
            "missing": self.missing,
            "file": self.file,
            "numbers": [number.to_json() for number in self.numbers],
            "metrics": list(self.metrics),
            "cells": list(self.cells),
            "warnings": list(self.warnings),
        }
        if self.elsewhere:  # older manifests do not have it
            entry["elsewhere"] = {site: list(cells) for site, cells in self.elsewhere.items()}
        return entry


Exhibit: TypeAlias = Number | FileExhibit


@dataclass(frozen=True)
class ResultsFile:
    """A file of results: its path below the results' folder, and its SHA-256 as hex."""

    path: str
    sha256: str


@dataclass(frozen=True)
class StoredResults:
    """Stored results of another site that a notebook read next to those of the run."""

    source: str
    measured_on: str
    files: Mapping[str, ResultsFile]

    def to_json(self) -> StoredJson:
        """Return the results as plain data."""
        files: dict[str, FileJson] = {
            kind: {"path": file.path, "sha256": file.sha256} for kind, file in self.files.items()
        }
        return {"source": self.source, "measured_on": self.measured_on, "files": files}


@dataclass(frozen=True)
class Manifest:
    """What one notebook has saved, and the results that it read.

    `hosts` has the facts `role.fact`, `files` are {kind of table: file}, and `exhibits` {name:
    exhibit}. `measured_on` is a day, as 2026-11-24. `sites` are stored results of other sites.
    `imported` is the record of the import, as plain data, if others measured the results;
    `measured_on` is then the day of the import.
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
    sites: Mapping[str, StoredResults] = field(default_factory=dict)
    imported: Mapping[str, Any] | None = None

    def to_json(self) -> ManifestJson:
        """Return the manifest as plain data."""
        content: ManifestJson = {
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
        if self.sites:  # older manifests do not have it
            content["sites"] = {name: stored.to_json() for name, stored in self.sites.items()}
        if self.imported:
            content["imported"] = dict(self.imported)
        return content

    @classmethod
    def from_json(cls, content: ManifestJson) -> "Manifest":
        """Return the manifest that `to_json` wrote.

        Raises `AttributeError`, `KeyError`, or `TypeError` for data of another form.
        """
        plain: dict[str, Any] = {
            **content,
            "files": {kind: ResultsFile(**file) for kind, file in content["files"].items()},
            "exhibits": {name: _exhibit(entry) for name, entry in content["exhibits"].items()},
            "sites": {name: _stored(site) for name, site in content.get("sites", {}).items()},
        }
        return cls(**plain)


def _stored(site: StoredJson) -> StoredResults:
    files = {kind: ResultsFile(**file) for kind, file in site["files"].items()}
    return StoredResults(site["source"], site["measured_on"], files)


def _exhibit(entry: NumberJson | FileExhibitJson) -> Exhibit:
    plain: dict[str, Any] = {**entry}
    plain |= {key: tuple(plain[key]) for key in ("metrics", "cells", "warnings")}
    elsewhere = plain.get("elsewhere", {})
    plain["elsewhere"] = {site: tuple(cells) for site, cells in elsewhere.items()}
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
