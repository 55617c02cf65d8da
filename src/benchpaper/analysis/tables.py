"""The tables of one experiment's results, by cell and block, before any statistics over blocks.

Data frames are named by their grain: `trial_df` has one row per trial, `block_df` one value per
cell and block.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchpaper.analysis import stats
from benchpaper.analysis.arrays import FloatArray
from benchpaper.analysis.manifests import FileJson
from benchpaper.analysis.values import Estimate, InsufficientDataError
from benchpaper.core.errors import UserError, did_you_mean, one_of
from benchpaper.design.declarations import SCALES
from benchpaper.design.spec import null_of
from benchpaper.results import FAILED, NOT_TESTABLE, WITH_VALUES
from benchpaper.results.import_record import ImportRecord, record_of

Level: TypeAlias = Any  # a number, a text or a truth value
Description: TypeAlias = dict[str, Any]  # of an experiment or a metric, as in the results' metadata


class NotPlanned(InsufficientDataError):
    """The scale of the results leaves out this cell."""


@dataclass
class Measured(ABC):
    """The tables of one experiment as data frames, and its declaration (`described`).

    `source` says in a phrase which results these are; `files` has the path and digest of each, as
    plain data, because the notebooks print it.
    """

    described: Description
    trial_df: pd.DataFrame
    observation_df: pd.DataFrame
    source: str
    files: dict[str, FileJson] = field(default_factory=dict)
    # The cache of `block_df`, by its arguments.
    _block_dfs: dict[tuple[str, str, float], pd.DataFrame] = field(
        default_factory=dict, init=False, repr=False
    )
    # The caches of `of_cell` and `state`: warnings ask for the same cells again and again.
    _estimates: dict[tuple[str, str, float], Estimate] = field(
        default_factory=dict, init=False, repr=False
    )
    _states: dict[str, tuple[int, str]] = field(default_factory=dict, init=False, repr=False)

    @abstractmethod
    def of_cell(self, metric: str, cell: str, q: float = 0.5) -> Estimate:
        """Return the `Estimate` of a metric in a cell, given by its id."""

    @property
    def experiment(self) -> str:
        """The experiment's name, as `rdma/fabric`."""
        return str(self.described["name"])

    @cached_property
    def imported(self) -> ImportRecord | None:
        """Where the results come from if others measured them; None if they were measured here."""
        return record_of(self.described)

    @property
    def factors(self) -> list[str]:
        """The names of the factors."""
        return [factor["name"] for factor in self.described["factors"]]

    @property
    def blocks(self) -> int:
        """The number of measured blocks."""
        return int(self.trial_df["block"].nunique())

    @property
    def telling(self) -> Description:
        """The description of the main metric: the first with a direction, else the first."""
        metrics: list[Description] = self.described["metrics"]
        return next((metric for metric in metrics if metric["better"] != "neither"), metrics[0])

    @property
    def null(self) -> dict[str, Level] | None:
        """The level of the null target, as {factor: level}, or None.

        Results from before it was declared have it by convention.
        """
        declared: dict[str, Level] | None
        if "null" in self.described:
            declared = self.described["null"]
        else:
            factors = self.described["factors"]
            declared = null_of({factor["name"]: factor["levels"] for factor in factors})
        return declared

    def metric(self, name: str) -> Description:
        """Return the description of a metric; raises `UserError` for an unknown one."""
        metrics: dict[str, Description] = {
            metric["name"]: metric for metric in self.described["metrics"]
        }
        one_of(f"{self.experiment}: metric", name, metrics)
        return metrics[name]

    def cells(self, twin: bool = False, **levels: Level) -> pd.DataFrame:
        """Return the trials' cells with these levels (a level or a list of levels each).

        The frame has a row per cell, in declared order of the factors' levels, and the columns
        `cell` (the id) and each factor.
        """
        chosen = self._distinct[self._distinct["twin"] == twin]
        for name, wanted in levels.items():
            if name not in self.factors:
                raise UserError(
                    f'{self.experiment}: no factor "{name}"{did_you_mean(name, self.factors)}'
                )
            wanted = wanted if isinstance(wanted, (list, tuple)) else [wanted]
            self._check_levels(name, wanted)
            chosen = chosen[chosen[name].isin(wanted)]
        return chosen[["cell", *self.factors]].reset_index(drop=True)

    @cached_property
    def _distinct(self) -> pd.DataFrame:
        """All cells, one row each, in declared order of the factors' levels."""
        frame = self.trial_df.drop_duplicates("cell")[["cell", "twin", *self.factors]]
        order = {
            f["name"]: {level: place for place, level in enumerate(f["levels"])}
            for f in self.described["factors"]
        }
        return frame.sort_values(self.factors, key=lambda column: column.map(order[column.name]))

    @cached_property
    def _trials_of(self) -> dict[str, pd.DataFrame]:
        """The rows of `trial_df` by cell, grouped once because every estimate needs one cell's."""
        return dict(list(self.trial_df.groupby("cell", sort=False)))

    @cached_property
    def _observations_of(self) -> dict[str, pd.DataFrame]:
        return dict(list(self.observation_df.groupby("cell", sort=False)))

    def _observed(self, cell: str) -> pd.DataFrame:
        """Return a cell's rows of `observation_df`; an empty frame if it was not measured."""
        return self._observations_of.get(cell, self.observation_df.iloc[:0])

    def _check_levels(self, name: str, wanted: Iterable[Level]) -> None:
        declared = next(f["levels"] for f in self.described["factors"] if f["name"] == name)
        for level in wanted:
            one_of(f"{self.experiment}: level of {name}", level, declared)

    def samples(self, metric: str, cell: str) -> tuple[FloatArray, NDArray[np.int64]]:
        """Return (values, counts) of all samples of a cell over all blocks, in ascending order.

        Draw distributions from it, but take no percentiles: a percentile belongs to one block.
        """
        rows = self._observed(cell)[metric].dropna()
        values = np.concatenate([np.asarray(row["values"], dtype=float) for row in rows])
        counts = np.concatenate([np.asarray(row["counts"], dtype=np.int64) for row in rows])
        merged, place = np.unique(values, return_inverse=True)
        return merged, np.bincount(place, weights=counts).astype(np.int64)

    def block_df(self, metric: str, cell: str, q: float = 0.5) -> pd.DataFrame:
        """Return the metric's value in each block of a cell: columns block and value, as measured.

        The rows are in the order of measuring. For a distribution the value is its quantile `q`
        within the block. The frame is cached, so do not change it. Raises `InsufficientDataError`
        when a block has too few samples for that quantile.
        """
        if (metric, cell, q) in self._block_dfs:
            return self._block_dfs[metric, cell, q]
        # Lists, because a cell has few rows, and each step of pandas takes longer than all of them.
        observed = self._observed(cell)
        columns = (observed[name].tolist() for name in ("block", "row", metric))
        rows = [row for row in zip(*columns, strict=True) if not _is_absent(row[2])]
        if any(row > 0 for _, row, _ in rows):
            raise InsufficientDataError(
                f"{cell}: a trial has several observations; choose one by its row"
            )
        values = [value for _, _, value in rows]
        if self.metric(metric)["kept"] == "all samples":
            if q != 0.5 and rows:
                reason = stats.tail_allowed([int(np.sum(d["counts"])) for d in values], q)
                if reason:
                    raise InsufficientDataError(reason)
            values = [stats.quantile(d["values"], q, d["counts"]) for d in values]
        order = {block: place for place, block in enumerate(self._order)}
        pairs = sorted(
            zip((block for block, _, _ in rows), values, strict=True),
            key=lambda pair: order[pair[0]],
        )
        frame = pd.DataFrame(
            {
                "block": np.array([block for block, _ in pairs], observed["block"].dtype),
                "value": np.array([value for _, value in pairs], float),
            }
        )
        return self._block_dfs.setdefault((metric, cell, q), frame)

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

    def one_cell(self, twin: bool, levels: Mapping[str, Level]) -> str:
        """Return the id of the only cell with these levels.

        Raises `NotPlanned` if a small scale leaves it out, and `UserError` if several match.
        """
        cells = self.cells(twin=twin, **levels)
        if len(cells) == 1:
            return str(cells["cell"][0])
        if cells.empty:
            raise self.left_out(levels)
        varying = " and ".join(name for name in self.factors if cells[name].nunique() > 1)
        raise UserError(f"{self.experiment}: {len(cells)} cells have {levels}; say which {varying}")

    def left_out(self, levels: Mapping[str, Level]) -> NotPlanned:
        """Return why no cell has these levels, as an error to raise or to print.

        A table of others may lack any cell.
        Raises `UserError` at the largest scale, which plans every cell: the levels are wrong.
        """
        if self.imported:
            return NotPlanned("not in the imported table")
        if self.trial_df["scale"].iloc[0] == SCALES[-1]:
            raise UserError(f"{self.experiment}: no cell has {levels}; see its factors and valid()")
        return NotPlanned("not planned at this scale")

    def testable(self, cell: str) -> bool:
        """Whether the hosts had the capabilities that the cell needs."""
        states = self._trials_of[cell]["state"]
        return bool(not (states == NOT_TESTABLE).any() or states.isin(WITH_VALUES).any())

    def state(self, cell: str) -> tuple[int, str]:
        """Return (number of failed trials, why the cell has no value); "" if it has values."""
        if cell not in self._states:
            self._states[cell] = self._state(cell)
        return self._states[cell]

    def _state(self, cell: str) -> tuple[int, str]:
        trials = self._trials_of[cell]
        states = list(zip(trials["state"].tolist(), trials["reason"].tolist(), strict=True))
        failed = [reason for state, reason in states if state == FAILED]
        if any(state in WITH_VALUES for state, _ in states):
            return len(failed), ""
        untestable = [reason for state, reason in states if state == NOT_TESTABLE]
        if untestable:
            return len(failed), untestable[0]
        return len(failed), f"all {len(failed)} trials failed ({failed[0]})"


def _is_absent(value: object) -> bool:
    """Return whether an optional metric has no value: None, or NaN."""
    return value is None or (isinstance(value, float) and value != value)
