"""The form of exhibits.json. Keys that are not required are left out where they would be empty."""

from typing import Any, Literal, NotRequired, TypedDict

from benchpaper.analysis.recipes import RecipeJson


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
    elsewhere: NotRequired[dict[str, list[str]]]


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
    elsewhere: NotRequired[dict[str, list[str]]]


class FileJson(TypedDict):
    """A `ResultsFile` in a manifest."""

    path: str
    sha256: str


class StoredJson(TypedDict):
    """A `StoredResults` in a manifest."""

    source: str
    measured_on: str
    files: dict[str, FileJson]


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
    sites: NotRequired[dict[str, StoredJson]]
    imported: NotRequired[dict[str, Any]]
