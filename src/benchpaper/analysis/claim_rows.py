"""Judged claims, as verdicts.json holds them, and what follows from the rows alone.

Commands that only show verdicts read this module; it loads neither NumPy nor pandas.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, cast, get_args

from benchpaper.analysis.recipes import Basis, BasisJson
from benchpaper.core.errors import UserError
from benchpaper.core.project import REMEDY, VERDICTS, derived

REPRODUCED = "reproduced"
CONTRADICTED = "contradicted"
INCONCLUSIVE = "inconclusive"
NOT_TESTABLE, NOT_RUN = "not testable here", "not run"
ON_REFERENCE = {
    REPRODUCED: "holds in the reference",
    CONTRADICTED: "does not hold in the reference",
}
ON_IMPORTED = {
    REPRODUCED: "holds in imported results",
    CONTRADICTED: "does not hold in imported results",
}

Kind: TypeAlias = Literal["finding", "check"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FINDING, CHECK = KINDS


class ClaimRowJson(TypedDict):
    """A `ClaimRow` in verdicts.json."""

    id: str
    kind: Kind
    matters_to: str
    sentence: str
    experiment: str
    asked: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    confidence: float | None
    cells: list[str]
    text: str
    blocks_for_5_percent: int | None
    verdict: str
    why: str
    short: str
    basis: BasisJson | None


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """A judged claim.

    `kind` and `matters_to` are those of the claim. `asked` is the comparison as text, and `basis`
    the same as data; `value`, `low`, and `high` are in `unit`, and None without a value.
    `short` is `why` in few words. The defaults are those of a claim that was not compared.
    """

    id: str
    kind: Kind = FINDING
    matters_to: str = ""
    sentence: str
    experiment: str
    asked: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    confidence: float | None = None
    cells: tuple[str, ...] = ()
    text: str = ""
    blocks_for_5_percent: int | None = None
    verdict: str
    why: str
    short: str
    basis: Basis | None = None

    def to_json(self) -> ClaimRowJson:
        """Return the row as plain data."""
        basis = self.basis.to_json() if self.basis else None
        return cast(ClaimRowJson, {**asdict(self), "cells": list(self.cells), "basis": basis})

    @classmethod
    def from_json(cls, row: ClaimRowJson) -> "ClaimRow":
        """Return the row that `to_json` wrote.

        Raises `TypeError` or `KeyError` for other keys, and so for data of another version.
        """
        basis = Basis.from_json(row["basis"]) if row["basis"] else None
        plain: dict[str, Any] = {**row, "cells": tuple(row["cells"]), "basis": basis}
        return cls(**plain)


def read(build: Path) -> list[ClaimRow]:
    """Return the verdicts in a build folder; an empty list if nothing was judged yet.

    Raises `UserError` if the file holds anything else.
    """
    path = build / VERDICTS
    if not path.exists():
        return []
    try:
        return [ClaimRow.from_json(row) for row in derived(path, list)]
    except (KeyError, TypeError):
        raise UserError(f"{path.name} of {build.name} holds other rows; {REMEDY}") from None


def of_kind(rows: Iterable[ClaimRow], kind: str) -> list[ClaimRow]:
    """Return the rows of one kind of claim, in their order."""
    return [row for row in rows if row.kind == kind]


def failing(rows: Iterable[ClaimRow]) -> list[str]:
    """Return the ids of the claims that the data contradict, here or in the reference itself."""
    words = (CONTRADICTED, ON_REFERENCE[CONTRADICTED], ON_IMPORTED[CONTRADICTED])
    return [row.id for row in rows if row.verdict in words]


def on_imported(rows: Iterable[ClaimRow]) -> int:
    """Return how many claims were decided on results that others measured."""
    return sum(row.verdict in ON_IMPORTED.values() for row in rows)


def by_chance(rows: Iterable[ClaimRow]) -> tuple[int, float]:
    """Return (number of claims with an interval, upper bound of the mean number of wrong verdicts).

    An interval is two-sided: if the truth is the bound, half of the misses are on the wrong side.
    """
    decidable = [row.confidence for row in rows if row.confidence]
    return len(decidable), sum((1 - confidence) / 2 for confidence in decidable)
