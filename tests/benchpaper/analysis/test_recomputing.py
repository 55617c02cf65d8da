"""What a recipe or a basis computes again is what it was made of."""

from dataclasses import replace
from functools import cache

import pytest
from checkout import ROOT

from benchpaper.analysis import recomputing
from benchpaper.analysis.estimates import load
from benchpaper.core.errors import UserError

CELL = dict(transport="posix", operation="get", size_bytes=4096, outstanding=1, tool="fabric")


@cache
def results():
    return load("rdma/fabric", ROOT / "artifacts" / "reference" / "local")


def level(**more):
    return results().estimate("latency_us", **CELL, **more)


def largest():
    cells = list(results().cells(**CELL)["cell"])
    return results().combined("latency_us", cells, lambda by: max(by.values()), unit="µs")


@pytest.mark.parametrize(
    "make",
    [
        level,
        lambda: level(q=0.9),
        lambda: level().scaled(1e3, "ns"),
        lambda: level().scaled(1, "1"),
    ],
)
def test_a_recipe_gives_the_same_estimate(make):
    estimate = make()
    assert recomputing.compute(results(), recomputing.recipe(estimate)) == estimate


def test_a_function_of_a_notebook_and_a_gap_have_no_recipe():
    assert recomputing.recipe(largest()) is None
    assert (
        recomputing.recipe(results().estimate("latency_us", **CELL | {"transport": "rc"})) is None
    )


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(cells=("moon",)), 'have no cell "moon"'),
        (dict(cells=()), "cannot be computed"),
        (dict(by="ratio"), "cannot be computed"),
        (dict(by="guess"), '"guess" is no way to compute'),
        (dict(metric="moons"), 'metric "moons" not found'),
    ],
)
def test_a_recipe_that_does_not_fit_is_one_line(change, words):
    with pytest.raises(UserError, match=words) as error:
        recomputing.compute(results(), replace(recomputing.recipe(level()), **change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "compare", [lambda e: e.below(1.0), lambda e: e.above(0.5), lambda e: e.equal(0.1, 2.0)]
)
@pytest.mark.parametrize("make", [level, largest])
def test_a_basis_gives_the_same_comparison(make, compare):
    comparison = compare(make())
    basis = recomputing.basis(comparison)
    cells, unit = comparison.estimate.cells, comparison.estimate.unit
    assert recomputing.comparison_of(basis, results(), cells, unit, "") == comparison
    assert bool(basis.values) == (make is largest)
