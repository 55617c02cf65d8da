"""Noise floors: the difference between two identical cells, at each level within a trial.

The twin gives it: a real cell that each block measures twice. Where no twin shows the noise of a
metric, the noisiest real cell does, by the difference between each of its blocks and the next. That
is so without a twin; if the twin is a control (see `design.controls`), is not planned at a scale,
has no such metric, or has values of 0 or below; and if its values are all the same although those
of a claim are not.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd

from benchpaper.analysis import rows, stats
from benchpaper.analysis.arrays import FloatArray
from benchpaper.analysis.tables import Level, Measured, NotPlanned
from benchpaper.analysis.values import Estimate, InsufficientDataError, gap
from benchpaper.design.replication import OVER_TIME


class Floors(Measured):
    """Results that know the noise floors of their metrics."""

    def floor(
        self,
        metric: str,
        q: float = 0.5,
        looks: int = 1,
        at: Iterable[Mapping[str, Level]] = (),
        cells: Sequence[str] = (),
    ) -> stats.MaybeFloor:
        """Return the noise floor of a metric.

        `looks` is the number of metrics that compare the twin with its cell. `at` lists levels of
        `within`, by default all that the metric has; the largest of their floors counts. `cells`
        are those of a claim: one on controls alone takes the floor of controls. Raises
        `InsufficientDataError` if there is no noise floor; its text says why.
        """
        self.metric(metric)
        if self.imported:
            raise InsufficientDataError("imported results have no twin")
        at = [dict(levels) for levels in at]
        on_controls = bool(cells) and all(map(self.is_control, cells))
        try:
            floor = self._of_twin(metric, q, looks, at, on_controls)
        except InsufficientDataError as reason:
            if noisiest := self._noisiest(metric, q, at, on_controls):
                return noisiest
            raise reason from None
        silent = floor.known and floor.delta == 0
        if silent and not all(self._constant(metric, c, q) for c in cells or self._ids(metric, at)):
            return self._noisiest(metric, q, at, on_controls) or floor
        return floor

    # ---- by the twin ----

    def _of_twin(
        self,
        metric: str,
        q: float,
        looks: int,
        at: Sequence[Mapping[str, Level]],
        on_controls: bool,
    ) -> stats.MaybeFloor:
        """Return the floor between the twin and its identical cell.

        Raises `InsufficientDataError` if there is none.
        """
        twin = self.described["twin"]
        if not twin:
            raise InsufficientDataError(
                f"{self.experiment} declares no twin; declare twin=dict(...), the noisiest real "
                "cell, and measure again"
            )
        if self.is_control(self.one_cell(False, twin)) != on_controls:
            kind = "no control" if on_controls else "a control"
            raise InsufficientDataError(f"the twin is {kind}, and no cell gives a noise floor")
        chosen = at or self._levels_of(metric, twin)
        floors = [self._floor_at(metric, q, looks * len(chosen), levels) for levels in chosen]
        largest = max(floors, key=lambda floor: floor.delta if floor.known else np.inf)
        if largest.known:
            biased = any(floor.known and floor.biased for floor in floors)
            return replace(largest, biased=biased)
        return largest

    def _levels_of(self, metric: str, cell: Mapping[str, Level]) -> list[dict[str, Level]]:
        """Return the levels of `within` that a metric has in a cell; without any, `[{}]`."""
        frame = self.rows(metric, **cell)
        return [self.levels_within(row) for row in frame["cell"]]

    def _floor_at(
        self, metric: str, q: float, looks: int, at: Mapping[str, Level]
    ) -> stats.MaybeFloor:
        frames = [self._values(metric, cell, q) for cell in self._twins(at)]
        both = pd.concat(frames, axis=1, keys=["a", "twin"], join="inner")
        if both.empty:
            raise InsufficientDataError(f"the twin has no {metric}")
        if (both["a"] == both["twin"]).all():  # no noise, even if all values are 0
            return stats.noise_floor(np.ones(len(both)), np.ones(len(both)))
        if (both <= 0).any(axis=None):
            raise InsufficientDataError("a value of 0 or below has no ratio")
        return stats.noise_floor(both["a"].to_numpy(), both["twin"].to_numpy(), looks)

    def _twins(self, at: Mapping[str, Level]) -> list[str]:
        """Return the ids of the cell that is measured twice and of its twin, at some levels."""
        twin = self.described["twin"]
        return [rows.row_id(self.one_cell(is_twin, twin), at) for is_twin in (False, True)]

    # ---- by the noisiest cell ----

    def _noisiest(
        self, metric: str, q: float, at: Sequence[Mapping[str, Level]], on_controls: bool
    ) -> stats.MaybeFloor | None:
        """Return the largest floor of a real cell, or of a control if only those have the metric.

        None if no cell has enough blocks with positive values, which a ratio needs, and for blocks
        that differ in more than time: their differences are no noise.
        """
        if self.block_over != OVER_TIME:
            return None
        ids = self._ids(metric, at)
        floors = {row: floor for row in ids if (floor := self._neighbours(metric, row, q))}
        alike = {row: f for row, f in floors.items() if self.is_control(row) == on_controls}
        chosen = alike or floors
        known = {row: floor for row, floor in chosen.items() if floor.known}
        if not known:
            return next(iter(chosen.values()), None)
        row = max(known, key=lambda row: known[row].delta)
        return replace(known[row], cell=row)

    def _ids(self, metric: str, at: Sequence[Mapping[str, Level]]) -> list[str]:
        """Return the ids of all cells, or of their rows at some levels of `within`."""
        frame = self.rows(metric)
        return [row for row in frame["cell"] if not at or self.levels_within(row) in at]

    def _neighbours(self, metric: str, row: str, q: float) -> stats.MaybeFloor | None:
        """Return the floor between neighbouring blocks of a cell; None without positive values."""
        values = self._of_blocks(metric, row, q)
        if not len(values) or (values <= 0).any():
            return None
        return stats.neighbour_floor(values)

    def _constant(self, metric: str, row: str, q: float) -> bool:
        values = self._of_blocks(metric, row, q)
        return not len(values) or bool(np.ptp(values) == 0)

    def _of_blocks(self, metric: str, row: str, q: float) -> FloatArray:
        """Return a cell's values by block; none if it has too few samples for the quantile."""
        try:
            values: FloatArray = self.block_df(metric, row, q)["value"].to_numpy(float)
        except InsufficientDataError:
            return np.empty(0)
        return values

    # ---- as an exhibit ----

    def noise_floor(self, metric: str, q: float = 0.5, **at: Level) -> Estimate:
        """Return the `Estimate` (in %) of the smallest believable difference in a metric.

        `at` gives a level of each factor of `within`; without it, the largest of all counts.
        """
        has_twin = self.described["twin"] and not self.imported
        cells: tuple[str, ...] = ()
        with suppress(NotPlanned):  # then the noisiest cell of this scale gives the floor
            cells = tuple(self._twins(at)) if has_twin else ()
        try:
            floor = self.floor(metric, q, at=[at] if at else ())
        except InsufficientDataError as reason:
            return gap(str(reason), "%", metric, cells)
        n = floor.interval.n
        if not floor.known:
            why = f"a noise floor needs {stats.MIN_BLOCKS} blocks, and there are {n}"
            return Estimate(None, None, None, n, "%", metric, cells, why)
        cells = (floor.cell,) if floor.cell else cells
        smallest = 100 * floor.smallest_difference
        return Estimate(smallest, None, None, n, "%", metric, cells, q=q, by="noise floor")
