"""Noise floors: the difference between two identical cells, at each level within a trial."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from benchpaper.analysis import rows, stats
from benchpaper.analysis.tables import Level, Measured
from benchpaper.analysis.values import Estimate, InsufficientDataError, gap


class Floors(Measured):
    """Results that know the noise floors of their metrics."""

    def floor(
        self, metric: str, q: float = 0.5, looks: int = 1, at: Iterable[Mapping[str, Level]] = ()
    ) -> stats.MaybeFloor:
        """Return the noise floor of a metric between the twin and its identical cell.

        `looks` is the number of metrics that compare the two. `at` lists levels of `within`, by
        default all that the metric has; the largest of their floors counts. Raises
        `InsufficientDataError` if there is no noise floor; its text says why.
        """
        self.metric(metric)
        twin = self.described["twin"]
        if self.imported:
            raise InsufficientDataError("imported results have no twin")
        if not twin:
            raise InsufficientDataError(
                f"{self.experiment} declares no twin; declare twin=dict(...), the noisiest cell, "
                "and measure again"
            )
        chosen = [dict(levels) for levels in at] or self._levels_of(metric, twin)
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

    def noise_floor(self, metric: str, q: float = 0.5, **at: Level) -> Estimate:
        """Return the `Estimate` (in %) of the smallest believable difference in a metric.

        `at` gives a level of each factor of `within`; without it, the largest of all counts.
        """
        has_twin = self.described["twin"] and not self.imported
        cells = tuple(self._twins(at)) if has_twin else ()
        try:
            floor = self.floor(metric, q, at=[at] if at else ())
        except InsufficientDataError as reason:
            return gap(str(reason), "%", metric, cells)
        n = floor.interval.n
        if not floor.known:
            why = f"a noise floor needs {stats.MIN_BLOCKS} blocks, and there are {n}"
            return Estimate(None, None, None, n, "%", metric, cells, why)
        smallest = 100 * floor.smallest_difference
        return Estimate(smallest, None, None, n, "%", metric, cells, q=q, by="noise floor")

    def _twins(self, at: Mapping[str, Level]) -> list[str]:
        """Return the ids of the cell that is measured twice and of its twin, at some levels."""
        twin = self.described["twin"]
        return [rows.row_id(self.one_cell(is_twin, twin), at) for is_twin in (False, True)]
