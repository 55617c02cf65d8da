"""Makes recipes of estimates, and computes estimates again from recipes.

An estimate that took a function of a notebook or of a claim has no recipe.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchpaper.analysis.recipes import Basis, Recipe
from benchpaper.analysis.values import Comparison, Estimate, gap
from benchpaper.core.errors import UserError

if TYPE_CHECKING:  # it imports pandas, and commands import this module
    from benchpaper.analysis.estimates import Results


def recipe(estimate: Estimate) -> Recipe | None:
    """Return the recipe of an estimate, or None if it takes a function, or has no value."""
    if estimate.value is None or not estimate.by:
        return None
    return Recipe(
        by=estimate.by,
        metric=estimate.metric,
        cells=estimate.cells,
        q=estimate.q,
        factor=estimate.factor,
        unit=estimate.unit,
        second=estimate.second,
    )


def basis(comparison: Comparison) -> Basis:
    """Return what a verdict on a comparison rests on."""
    estimate, how = comparison.estimate, recipe(comparison.estimate)
    return Basis(
        side=comparison.side,
        bound=comparison.bound,
        target=comparison.target,
        recipe=how,
        metric=estimate.metric,
        values=() if how else estimate.values,
        paired=estimate.paired,
        q=estimate.q,
    )


def compute(results: "Results", recipe: Recipe) -> Estimate:
    """Return the estimate of a recipe. Raises `UserError` if the results do not fit the recipe."""
    cells = set(results.trial_df["cell"])
    if missing := [cell for cell in recipe.cells if results.cell_of(cell) not in cells]:
        raise UserError(f'the results of {results.experiment} have no cell "{missing[0]}"')
    try:
        estimate = _unscaled(results, recipe)
    except ValueError as error:
        raise UserError(f"the recipe {recipe} cannot be computed: {error}") from None
    if estimate.value is None or (recipe.factor, recipe.unit) == (1.0, estimate.unit):
        return estimate
    return estimate.scaled(recipe.factor, recipe.unit)


def unit_before(results: "Results", recipe: Recipe) -> str:
    """Return the unit of a recipe's estimate before its `factor` changed it."""
    if recipe.by in ("level", "share"):
        return str(results.metric(recipe.metric)["unit"])
    return "%" if recipe.by == "noise floor" else "1"


def _unscaled(results: "Results", recipe: Recipe) -> Estimate:
    metric, cells, q, second = recipe.metric, recipe.cells, recipe.q, recipe.second
    match recipe.by:
        case "level":
            [cell] = cells
            return results.of_cell(metric, cell, q)
        case "ratio":
            [_, _] = cells
            return results.ratio_of(metric, cells, q)
        case "share":
            [cell] = cells
            return results.pooled_share_of(metric, second, cell)
        case "noise floor":
            return results.noise_floor(metric, q, **results.levels_within(cells[0]))
        case "rank agreement":
            return results.rank_agreement_of(metric, second, cells)
    raise ValueError(f'"{recipe.by}" is no way to compute one')


def comparison_of(
    basis: Basis, results: "Results", cells: Sequence[str], unit: str, why: str
) -> Comparison:
    """Return the comparison that a verdict rests on, made again.

    `cells` and `unit` are those of its estimate; `why` says why an estimate has no value. Raises
    `UserError` if the results do not fit the basis.
    """
    if basis.recipe:
        estimate = compute(results, basis.recipe)
    elif basis.values:
        estimate = results.estimated(basis.values, unit, basis.metric, cells, basis.paired, basis.q)
    else:
        estimate = gap(why, unit, basis.metric, cells)
    return Comparison(estimate, basis.side, basis.bound, basis.target)
