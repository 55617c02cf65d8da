"""Whether a number predicts another, tested on cells that the prediction was not fitted to.

A number that is no prediction by itself gets its best chance: the monotone curve of the other
metric on it that fits all cells but one (isotonic regression on the log scale), read at that one.
The intervals of an error, a rank agreement, or a share of wrong decisions are over the cells: they
say what other cells of the kind would show, not what measuring again would.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from benchpaper.analysis import stats
from benchpaper.analysis.arrays import FloatArray, check_same_length, checked
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.tables import Level
from benchpaper.analysis.values import Estimate, gap

MIN_FITTED = 3  # cells to fit a curve to, below which it says nothing


def monotone(x: ArrayLike, y: ArrayLike, at: ArrayLike, *, rising: bool) -> FloatArray:
    """Return the value at each of `at` of the monotone curve that fits y on x best.

    All are positive. The curve is the isotonic regression of log y on log x; between two values of
    x it is straight, and beyond the outermost ones constant.
    """
    from scipy.optimize import isotonic_regression

    x, y = checked(x, "x", positive=True), checked(y, "y", positive=True)
    check_same_length(x, y, "x and y")
    at = checked(at, "at", positive=True)
    places, which = np.unique(np.log(x), return_inverse=True)
    weights = np.bincount(which)
    means = np.bincount(which, np.log(y)) / weights
    fitted = isotonic_regression(means, weights=weights.astype(float), increasing=rising).x
    return np.asarray(np.exp(np.interp(np.log(at), places, fitted)))


def without_each(x: ArrayLike, y: ArrayLike, *, rising: bool) -> FloatArray:
    """Return, for each i, the value at x[i] of the curve that fits all others (see `monotone`)."""
    x, y = checked(x, "x", positive=True), checked(y, "y", positive=True)
    check_same_length(x, y, "x and y")
    if len(x) <= MIN_FITTED:
        raise ValueError(f"{len(x)} cells are too few to leave one out; pass {MIN_FITTED + 1}")
    keep = ~np.eye(len(x), dtype=bool)
    return np.concatenate(
        [monotone(x[k], y[k], x[~k], rising=rising) for k in keep],
    )


@dataclass(frozen=True)
class HeldOut:
    """What was predicted of cells that the prediction had not seen, and what was measured there.

    `number` and `actual` have a value per cell, the median over its blocks, and `predicted` has
    what was predicted of it. `rising` says that the metric rises with the number.
    """

    results: Results
    metric: str
    cells: tuple[str, ...]
    number: FloatArray
    predicted: FloatArray
    actual: FloatArray
    rising: bool
    missing: str = ""

    @cached_property
    def factors(self) -> FloatArray:
        """By which factor (1 or more) each prediction is off, too high or too low."""
        ratio = self.predicted / self.actual
        return np.maximum(ratio, 1 / ratio)

    @property
    def error(self) -> Estimate:
        """The median factor, with its interval over the cells."""
        if self.missing:
            return gap(self.missing, "1", self.metric, self.cells)
        found = self.results.estimated(self.factors.tolist(), "1", self.metric, self.cells)
        return replace(found, over="cell")

    @property
    def worst(self) -> float | None:
        """The factor that nine in ten predictions keep."""
        return None if self.missing else float(np.quantile(self.factors, 0.9))

    @property
    def agreement(self) -> stats.MaybeInterval | None:
        """Kendall's tau between number and metric, 1 for the order that is predicted."""
        enough = not self.missing and np.ptp(self.number) > 0 and np.ptp(self.actual) > 0
        sign = 1 if self.rising else -1
        return stats.rank_agreement(self.number, sign * self.actual) if enough else None

    def wrong(self, limit: float) -> stats.Interval | None:
        """Return the share of cells that are predicted on the wrong side of `limit`."""
        if self.missing:
            return None
        misjudged = (self.predicted <= limit) != (self.actual <= limit)
        return stats.wilson(int(misjudged.sum()), len(misjudged))


def held_out(
    results: Results,
    number: str,
    metric: str,
    *,
    on: Mapping[str, Level | list[Level]],
    fitted_to: Mapping[str, Level | list[Level]] | None = None,
    direct: bool = False,
    **common: Level,
) -> HeldOut:
    """Return how `number` predicts `metric` in the cells with the levels `on` and `common`.

    The curve is fitted to the other cells of `on`, or to the cells with the levels `fitted_to`.
    `direct` takes the number itself for the prediction: nothing is fitted. Cells that lack one of
    the two are left out.
    """
    rising = results.metric(number)["better"] == results.metric(metric)["better"]
    cells, x, y = _both(results, number, metric, {**on, **common})
    nothing = np.empty(0)
    needed = 1 if direct or fitted_to is not None else MIN_FITTED + 1
    if len(cells) < needed:
        why = f"{needed} cells must have {number} and {metric}; {len(cells)} have"
        return HeldOut(results, metric, cells, nothing, nothing, nothing, rising, why)
    if direct:
        predicted = x
    elif fitted_to is None:
        predicted = without_each(x, y, rising=rising)
    else:
        _, known_x, known_y = _both(results, number, metric, {**fitted_to, **common})
        if len(known_x) < MIN_FITTED:
            why = f"{len(known_x)} cells are too few to fit a curve to; {MIN_FITTED} are needed"
            return HeldOut(results, metric, cells, nothing, nothing, nothing, rising, why)
        predicted = monotone(known_x, known_y, x, rising=rising)
    return HeldOut(results, metric, cells, x, predicted, y, rising)


def _both(
    results: Results, number: str, metric: str, levels: dict[str, Level | list[Level]]
) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Return the cells with both metrics, and the values of either."""
    cells, values = [], []
    for cell in results.rows(metric, **levels)["cell"]:  # type: ignore[arg-type]
        pair = [results.of_cell(name, cell).value for name in (number, metric)]
        if None not in pair:
            cells.append(cell)
            values.append(pair)
    columns = np.asarray(values, float).reshape(-1, 2).T
    return tuple(cells), columns[0], columns[1]
