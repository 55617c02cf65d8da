"""Recipes: how to compute an estimate again from the results, as plain data without any code.

Manifests and verdicts hold them, so that `verify` can recompute what they state without running a
notebook or a claim; `recomputing` does so. This module loads neither NumPy nor pandas.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, TypedDict, cast

Side: TypeAlias = Literal["below", "above", "equal", "within"]


class RecipeJson(TypedDict):
    """A `Recipe` in a manifest or in verdicts.json."""

    by: str
    metric: str
    cells: list[str]
    q: float
    factor: float
    unit: str
    second: str


class BasisJson(TypedDict):
    """A `Basis` in verdicts.json."""

    side: Side
    bound: float
    target: float
    recipe: RecipeJson | None
    metric: str
    values: list[float]
    paired: bool
    q: float


@dataclass(frozen=True)
class Recipe:
    """How to compute an estimate, in `unit`, from a metric and its cells.

    `by` is "level", "ratio", "share", "noise floor", or "rank agreement". `factor` changes the
    unit. `second` is the metric that counts the tries of a share, or the second of an agreement.
    """

    by: str
    metric: str
    cells: tuple[str, ...]
    q: float
    factor: float
    unit: str
    second: str

    def to_json(self) -> RecipeJson:
        """Return the recipe as plain data."""
        return cast(RecipeJson, {**asdict(self), "cells": list(self.cells)})

    @classmethod
    def from_json(cls, recipe: RecipeJson) -> "Recipe":
        """Return the recipe that `to_json` wrote; raises `KeyError` or `TypeError` for others."""
        plain: dict[str, Any] = {**recipe, "cells": tuple(recipe["cells"])}
        return cls(**plain)


@dataclass(frozen=True)
class Basis:
    """What a verdict rests on: the comparison, and its estimate's recipe.

    Without a recipe, it holds the estimate's values, one for each block, in its unit.
    """

    side: Side
    bound: float
    target: float
    recipe: Recipe | None
    metric: str
    values: tuple[float, ...]
    paired: bool
    q: float

    def to_json(self) -> BasisJson:
        """Return the basis as plain data."""
        recipe = self.recipe.to_json() if self.recipe else None
        return cast(BasisJson, {**asdict(self), "recipe": recipe, "values": list(self.values)})

    @classmethod
    def from_json(cls, basis: BasisJson) -> "Basis":
        """Return the basis that `to_json` wrote; raises `KeyError` or `TypeError` for others."""
        recipe = Recipe.from_json(basis["recipe"]) if basis["recipe"] else None
        plain: dict[str, Any] = {**basis, "recipe": recipe, "values": tuple(basis["values"])}
        return cls(**plain)
