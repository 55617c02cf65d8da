"""The tables of one experiment's results, by cell and block, before any statistics over blocks.

Data frames are named by their grain: `trial_df` has one row per trial, `block_df` one value per
cell and block.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchpaper.analysis import emulated, stats
from benchpaper.analysis.arrays import FloatArray
from benchpaper.analysis.cells import Cells
from benchpaper.analysis.declared import Description as Description
from benchpaper.analysis.declared import Level as Level
from benchpaper.analysis.manifests import FileJson
from benchpaper.analysis.values import Estimate, InsufficientDataError
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.results import FAILED, NOT_TESTABLE, NOT_TRIED, WITH_VALUES


class NotPlanned(InsufficientDataError):
    """The scale of the results leaves out this cell."""


@dataclass
class Measured(Cells, ABC):
    """The tables of one experiment as data frames, and its declaration (`described`).

    `source` says in a phrase which results these are; `files` has the path and digest of each, as
    plain data, because the notebooks print it. `controls` are {factor: levels} of no real system.
    """

    described: Description
    trial_df: pd.DataFrame
    observation_df: pd.DataFrame
    source: str
    files: dict[str, FileJson] = field(default_factory=dict)
    controls: Mapping[str, Sequence[Level]] = field(default_factory=dict)
    # The cache of `block_df`, by its arguments.
    _block_dfs: dict[tuple[str, str, float], pd.DataFrame] = field(
        default_factory=dict, init=False, repr=False
    )
    # The caches of `of_cell` and `state`: warnings ask for the same cells again and again.
    _estimates: dict[tuple[str, str, float], Estimate] = field(
        default_factory=dict, init=False, repr=False
    )
    _states: dict[str, tuple[int, str]] = field(default_factory=dict, init=False, repr=False)
    _not_results: dict[tuple[str, str], str] = field(default_factory=dict, init=False, repr=False)

    @abstractmethod
    def of_cell(self, metric: str, cell: str, q: float = 0.5) -> Estimate:
        """Return the `Estimate` of a metric in a cell, given by its id."""

    @property
    def blocks(self) -> int:
        """The number of measured blocks."""
        return int(self.trial_df["block"].nunique())

    @property
    def block_levels(self) -> dict[int, Level]:
        """The level of each block, by its number; empty for blocks in time."""
        blocks = self.trial_df.drop_duplicates("block")
        pairs = blocks[["block", *self.block_columns]].itertuples(index=False, name=None)
        return dict(pairs) if self.block_columns else {}

    @cached_property
    def _observations_of(self) -> dict[str, pd.DataFrame]:
        return dict(list(self.observation_df.groupby("cell", sort=False)))

    @cached_property
    def _observations_within(self) -> dict[tuple[Level, ...], pd.DataFrame]:
        """The rows of `observation_df` by cell and levels of `within`."""
        return dict(list(self.observation_df.groupby(["cell", *self.within], sort=False)))

    def _observed(self, cell: str) -> pd.DataFrame:
        """Return the rows of `observation_df` of a cell or a row; empty if it was not measured."""
        nothing = self.observation_df.iloc[:0]
        if at := self.levels_within(cell):
            place = self.cell_of(cell), *at.values()
            return self._observations_within.get(place, nothing)
        return self._observations_of.get(cell, nothing)

    def why_no_result(self, metric: str, cell: str) -> str:
        """Return why no estimate may use a metric of a cell, as on emulated machines; or ""."""
        if (metric, cell) not in self._not_results:
            trials = self._trials_of[self.cell_of(cell)]
            self._not_results[metric, cell] = emulated.why_not(self.metric(metric), trials)
        return self._not_results[metric, cell]

    def samples(self, metric: str, cell: str) -> tuple[FloatArray, NDArray[np.int64]]:
        """Return (values, counts) of all samples of a cell over all blocks, in ascending order.

        Draw distributions from it, but take no percentiles: a percentile belongs to one block.
        Raises `InsufficientDataError` for times of an emulated machine.
        """
        if self.metric(metric)["kept"] != "all samples":
            raise UserError(
                f'{self.experiment}: metric "{metric}" keeps one value per trial; '
                'declare it with kept="all samples", and measure again'
            )
        if why := self.why_no_result(metric, cell):
            raise InsufficientDataError(why)
        samples = self._observed(cell)[metric].dropna()
        values = np.concatenate([np.asarray(some["values"], dtype=float) for some in samples])
        counts = np.concatenate([np.asarray(some["counts"], dtype=np.int64) for some in samples])
        merged, place = np.unique(values, return_inverse=True)
        return merged, np.bincount(place, weights=counts).astype(np.int64)

    def block_df(self, metric: str, cell: str, q: float = 0.5) -> pd.DataFrame:
        """Return the metric's value in each block of a cell: columns block and value, as measured.

        The rows are in the order of measuring. For a distribution the value is its quantile `q`
        within the block. The frame is cached, so do not change it. Raises `InsufficientDataError`
        when a block has too few samples for that quantile, and for times of an emulated machine.
        """
        if (metric, cell, q) in self._block_dfs:
            return self._block_dfs[metric, cell, q]
        if why := self.why_no_result(metric, cell):
            raise InsufficientDataError(why)
        # Lists, because a cell has few rows, and each step of pandas takes longer than all of them.
        observed = self._observed(cell)
        columns = (observed[name].tolist() for name in ("block", metric))
        present = [pair for pair in zip(*columns, strict=True) if not _is_absent(pair[1])]
        if len({block for block, _ in present}) < len(present):
            by = f"choose a level of {' and '.join(self.within)}"
            raise InsufficientDataError(f"{cell}: a trial has several values of {metric}; {by}")
        values = [value for _, value in present]
        if self.metric(metric)["kept"] == "all samples":
            if q != 0.5 and present:
                reason = stats.tail_allowed([int(np.sum(d["counts"])) for d in values], q)
                if reason:
                    raise InsufficientDataError(reason)
            values = [stats.quantile(d["values"], q, d["counts"]) for d in values]
        order = {block: place for place, block in enumerate(self._order)}
        pairs = sorted(
            zip((block for block, _ in present), values, strict=True),
            key=lambda pair: order[pair[0]],
        )
        frame = pd.DataFrame(
            {
                "block": np.array([block for block, _ in pairs], observed["block"].dtype),
                "value": np.array([value for _, value in pairs], float),
            }
        )
        return self._block_dfs.setdefault((metric, cell, q), frame)

    def _values(self, metric: str, cell: str, q: float = 0.5) -> pd.Series:
        """Return the values of `block_df` by block."""
        return self.block_df(metric, cell, q).set_index("block")["value"]

    @property
    def blocks_in_order(self) -> pd.Index:
        """The blocks' numbers in the order of measuring; imported blocks have no order in time."""
        return self._begun.index if self.imported else self._begun.sort_values().index

    @cached_property
    def _order(self) -> list[int]:
        return [int(block) for block in self.blocks_in_order]

    @cached_property
    def _begun(self) -> pd.Series:
        """The start of each block: block numbers follow the plan, but drift follows time."""
        return self.trial_df.groupby("block")["started"].min()

    def one_cell(self, twin: bool, levels: Mapping[str, Level], metric: str = "") -> str:
        """Return the id of the only cell with these levels, or of the only row of a metric.

        Raises `NotPlanned` if a small scale leaves it out, and `UserError` if several match.
        """
        cells = self.rows(metric, twin, **levels) if metric else self.cells(twin, **levels)
        if len(cells) == 1:
            return str(cells["cell"][0])
        if cells.empty:
            raise self.left_out(levels)
        varying = " and ".join(name for name in cells.columns[1:] if cells[name].nunique() > 1)
        raise UserError(f"{self.experiment}: {len(cells)} cells have {levels}; say which {varying}")

    def left_out(self, levels: Mapping[str, Level]) -> NotPlanned:
        """Return why no cell has these levels, as an error to raise or to print.

        An imported table may lack any cell. Raises `UserError` at the largest scale, which plans
        every cell: the levels are wrong.
        """
        if self.imported:
            return NotPlanned("not in the imported table")
        if self.trial_df["scale"].iloc[0] == settings.scales_here().paper:
            raise UserError(f"{self.experiment}: no cell has {levels}; see its factors and valid()")
        return NotPlanned("not planned at this scale")

    def testable(self, cell: str) -> bool:
        """Whether the hosts had the capabilities that the cell needs."""
        states = self._trials_of[self.cell_of(cell)]["state"]
        return bool(not (states == NOT_TESTABLE).any() or states.isin(WITH_VALUES).any())

    def state(self, cell: str) -> tuple[int, str]:
        """Return (number of failed trials, why the cell has no value); "" if it has values."""
        if cell not in self._states:
            self._states[cell] = self._state(cell)
        return self._states[cell]

    def _state(self, cell: str) -> tuple[int, str]:
        trials = self._trials_of[self.cell_of(cell)]
        states = list(zip(trials["state"].tolist(), trials["reason"].tolist(), strict=True))
        failed = [reason for state, reason in states if state == FAILED]
        tried = [reason for reason in failed if not reason.startswith(NOT_TRIED)]
        if any(state in WITH_VALUES for state, _ in states):
            return len(tried), ""
        untestable = [reason for state, reason in states if state == NOT_TESTABLE]
        if untestable:
            return len(tried), untestable[0]
        if tried and len(tried) < len(failed):
            skipped = f"the other {len(failed) - len(tried)} were not tried again"
            return len(tried), f"{len(tried)} trials failed ({tried[0]}), and {skipped}"
        return len(tried), f"all {len(failed)} trials failed ({failed[0]})"


def _is_absent(value: object) -> bool:
    """Return whether an optional metric has no value: None, or NaN."""
    return value is None or (isinstance(value, float) and value != value)
