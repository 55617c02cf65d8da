"""The noise floor: how far a cell and its identical twin lie apart."""

from functools import cached_property

import numpy as np
import pandas as pd

from benchpaper.analysis import stats
from benchpaper.analysis.tables import Measured
from benchpaper.analysis.values import Estimate, InsufficientDataError, gap


class WithTwin(Measured):
    """Results whose noise floor is known if the experiment declares a twin."""

    def _values(self, metric: str, cell: str, q: float = 0.5) -> pd.Series:
        """Return the values of `block_df` by block."""
        return self.block_df(metric, cell, q).set_index("block")["value"]

    def floor(self, metric: str, q: float = 0.5, looks: int = 1) -> stats.MaybeFloor:
        """Return the noise floor of a metric between the twin and its identical cell.

        `looks` is the number of metrics that compare the two. Raises `InsufficientDataError` if
        there is no noise floor; its text says why.
        """
        if not self.described["twin"]:
            raise InsufficientDataError("the experiment declares no twin")
        frames = [self._values(metric, cell, q) for cell in self._twins]
        both = pd.concat(frames, axis=1, keys=["a", "twin"], join="inner")
        if both.empty:
            raise InsufficientDataError(f"the twin has no {metric}")
        if (both["a"] == both["twin"]).all():  # no noise, even if all values are 0
            return stats.noise_floor(np.ones(len(both)), np.ones(len(both)))
        if (both <= 0).any(axis=None):
            raise InsufficientDataError("a value of 0 or below has no ratio")
        return stats.noise_floor(both["a"].to_numpy(), both["twin"].to_numpy(), looks)

    def noise_floor(self, metric: str, q: float = 0.5) -> Estimate:
        """Return the `Estimate` (in %) of the smallest believable difference in a metric."""
        try:
            floor = self.floor(metric, q)
        except InsufficientDataError as reason:
            return gap(str(reason), "%", metric, self._twins if self.described["twin"] else ())
        cells, n = tuple(self._twins), floor.interval.n
        if not floor.known:
            why = f"a noise floor needs {stats.MIN_BLOCKS} blocks, and there are {n}"
            return Estimate(None, None, None, n, "%", metric, cells, why)
        smallest = 100 * floor.smallest_difference
        return Estimate(smallest, None, None, n, "%", metric, cells, q=q, by="noise floor")

    @cached_property
    def _twins(self) -> list[str]:
        """Return the ids of the cell that is measured twice and of its twin."""
        return [self.one_cell(twin, self.described["twin"]) for twin in (False, True)]
