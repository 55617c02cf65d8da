"""What was measured, by cell and block: the tables of one experiment's results, before any statistics over blocks.

Data frames are named by their grain: `trial_df` has one row per trial, `block_df` one value per cell and block.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from benchpaper.analysis import stats
from benchpaper.analysis.values import NotEnough
from benchpaper.core.errors import UserError, did_you_mean, one_of
from benchpaper.design.declarations import SCALES
from benchpaper.design.spec import null_of
from benchpaper.results import FAILED, MEASURED, NOT_TESTABLE


class NotPlanned(NotEnough):
    """The results' scale leaves out the cell that was asked for."""


@dataclass
class Measured:
    """The tables of one experiment as data frames, and what was declared (`described`)."""

    described: dict
    trial_df: pd.DataFrame
    observation_df: pd.DataFrame
    source: str
    files: dict = field(default_factory=dict)
    _known: dict = field(
        default_factory=dict, init=False, repr=False
    )  # what `block_df` has given, by its arguments

    @property
    def experiment(self):
        return self.described["name"]

    @property
    def factors(self):
        return [factor["name"] for factor in self.described["factors"]]

    @property
    def blocks(self):
        return int(self.trial_df["block"].nunique())

    @property
    def telling(self):
        """The description of the metric that tells most: the first with a direction, else the first."""
        metrics = self.described["metrics"]
        return next((metric for metric in metrics if metric["better"] != "neither"), metrics[0])

    @property
    def null(self):
        """The level of a factor that is the load generator against nothing, as {factor: level}, or None. Results from
        before it was declared have it by convention."""
        if "null" in self.described:
            return self.described["null"]
        return null_of({factor["name"]: factor["levels"] for factor in self.described["factors"]})

    def metric(self, name):
        """Return the description of a metric; raises `UserError` for an unknown one."""
        metrics = {metric["name"]: metric for metric in self.described["metrics"]}
        one_of(f"{self.experiment}: metric", name, metrics)
        return metrics[name]

    def cells(self, twin=False, **levels):
        """Return the trials' cells with these levels (a level or a list of levels each), one row per cell, in
        declared order of the factors' levels."""
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
    def _distinct(self):
        """All cells, one row each, in declared order of the factors' levels."""
        frame = self.trial_df.drop_duplicates("cell")[["cell", "twin", *self.factors]]
        order = {
            f["name"]: {level: place for place, level in enumerate(f["levels"])}
            for f in self.described["factors"]
        }
        return frame.sort_values(self.factors, key=lambda column: column.map(order[column.name]))

    @cached_property
    def _trials_of(self):
        """The rows of `trial_df` by cell. Every estimate asks for those of one cell, of many."""
        return dict(list(self.trial_df.groupby("cell", sort=False)))

    @cached_property
    def _observations_of(self):
        return dict(list(self.observation_df.groupby("cell", sort=False)))

    def _observed(self, cell):
        """The rows of `observation_df` of a cell; none when it was not measured."""
        return self._observations_of.get(cell, self.observation_df.iloc[:0])

    def _check_levels(self, name, wanted):
        declared = next(f["levels"] for f in self.described["factors"] if f["name"] == name)
        for level in wanted:
            one_of(f"{self.experiment}: level of {name}", level, declared)

    def samples(self, metric, cell):
        """Return (values, counts) of all samples of a cell over all blocks, ascending: for drawing a distribution,
        never for a percentile, which belongs to one block."""
        rows = self._observed(cell)[metric].dropna()
        values = np.concatenate([np.asarray(row["values"], dtype=float) for row in rows])
        counts = np.concatenate([np.asarray(row["counts"], dtype=np.int64) for row in rows])
        merged, place = np.unique(values, return_inverse=True)
        return merged, np.bincount(place, weights=counts).astype(np.int64)

    def block_df(self, metric, cell, q=0.5):
        """Return a frame (leave it as it is) with columns block and value, in the order of measuring: the metric's
        value in each block of `cell`, for a distribution its quantile `q` within the block. Raises `NotEnough` when a
        block has too few samples for that quantile."""
        if (metric, cell, q) in self._known:
            return self._known[metric, cell, q]
        rows = self._observed(cell)[["block", "row", metric]].dropna()
        if len(rows) and rows["row"].max() > 0:
            raise NotEnough(f"{cell}: a trial has several observations; choose one by its row")
        if self.metric(metric)["kept"] == "all samples":
            if q != 0.5 and len(rows):
                reason = stats.tail_allowed([int(np.sum(d["counts"])) for d in rows[metric]], q)
                if reason:
                    raise NotEnough(reason)
            rows = rows.assign(
                **{metric: [stats.quantile(d["values"], q, d["counts"]) for d in rows[metric]]}
            )
        values = rows[["block", metric]].rename(columns={metric: "value"})
        ordered = values.sort_values("block", key=lambda block: block.map(self._begun)).reset_index(
            drop=True
        )
        return self._known.setdefault((metric, cell, q), ordered)

    @property
    def blocks_in_order(self):
        """The blocks' numbers in the order of measuring."""
        return self._begun.sort_values().index

    @cached_property
    def _begun(self):
        """When each block began. Blocks are numbered in the plan's order but measured in any, and drift is in time."""
        return self.trial_df.groupby("block")["started"].min()

    def one_cell(self, twin, levels):
        """Return the id of the one cell with these levels. Raises `NotPlanned` where a small scale leaves it out."""
        found = self.cells(twin=twin, **levels)
        if len(found) == 1:
            return found["cell"][0]
        if found.empty:
            raise self.left_out(levels)
        varying = [name for name in self.factors if found[name].nunique() > 1]
        raise UserError(
            f"{self.experiment}: {len(found)} cells have {levels}; say which {' and '.join(varying)}"
        )

    def left_out(self, levels):
        """Return why no cell has these levels, as an error to raise or to tell. The largest scale leaves out nothing that
        a paper asks for, so there it is a mistake in the asking, and raised."""
        if self.trial_df["scale"].iloc[0] == SCALES[-1]:
            raise UserError(f"{self.experiment}: no cell has {levels}; see its factors and valid()")
        return NotPlanned("not planned at this scale")

    def testable(self, cell):
        """Return whether the hosts had what the cell needs."""
        trials = self._trials_of[cell]
        return not (trials["state"] == NOT_TESTABLE).any() or (trials["state"] == MEASURED).any()

    def state(self, cell):
        """Return (number of failed trials, why the cell has no value at all or "")."""
        trials = self._trials_of[cell]
        failed = trials[trials["state"] == FAILED]
        if (trials["state"] == MEASURED).any():
            return len(failed), ""
        untestable = trials[trials["state"] == NOT_TESTABLE]["reason"].unique()
        if len(untestable):
            return len(failed), untestable[0]
        return len(failed), f"all {len(failed)} trials failed ({failed['reason'].iloc[0]})"
