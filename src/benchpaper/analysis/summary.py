"""Estimates of one metric over several cells: what a figure draws, and a table lists."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchpaper.analysis.values import Estimate


@dataclass(frozen=True)
class Summary:
    """Estimates of one metric over several cells; without cells, a gap that says why.

    `levels` has a row for each cell and a column for each factor, in the order of `estimates`.
    """

    levels: pd.DataFrame
    estimates: Sequence[Estimate]

    @property
    def frame(self) -> pd.DataFrame:
        """A row per cell: the factors, and the estimate's value, low, high, n, and missing."""
        columns = ["value", "low", "high", "n", "missing"]
        of_cells = self.estimates[: len(self.levels)]
        values = pd.DataFrame([[getattr(e, c) for c in columns] for e in of_cells], columns=columns)
        values[["value", "low", "high"]] = values[["value", "low", "high"]].astype(float)
        return pd.concat([self.levels.reset_index(drop=True), values], axis=1)

    @property
    def measured(self) -> pd.DataFrame:
        """The rows of `frame` that have a value."""
        frame = self.frame
        return frame[frame["value"].notna()].reset_index(drop=True)

    @property
    def missing(self) -> str:
        """Why no cell has a value; an empty string if one has."""
        reasons = list(dict.fromkeys(e.missing for e in self.estimates))
        return "" if any(e.value is not None for e in self.estimates) else "; ".join(reasons)
