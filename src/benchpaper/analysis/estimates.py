"""What a notebook asks of results: estimates over blocks, with intervals, and why one is missing."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchpaper.analysis import quality, stats
from benchpaper.analysis.tables import Measured, NotPlanned
from benchpaper.analysis.values import Estimate, NotEnough, gap
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.results import OBSERVATIONS, TRIALS, file_digest, read

__all__ = ["Estimate", "NotEnough", "Results", "Summary", "gap", "load"]


class Results(Measured):
    """The results of one experiment, as `load` returns them: estimates over the blocks of what was measured. What a
    scale below full leaves out is a gap, since the paper names the same at every scale; at full it is an error."""

    def estimate(self, metric, q=0.5, twin=False, **levels):
        """Return the `Estimate` of a metric in the one cell that has these levels."""
        try:
            return self.of_cell(metric, self.one_cell(twin, levels), q)
        except NotPlanned as reason:
            return gap(str(reason), self.metric(metric)["unit"], metric, planned=False)

    def of_cell(self, metric, cell, q=0.5):
        """Return the `Estimate` of a metric in a cell, given by its id."""
        unit = self.metric(metric)["unit"]
        failed, missing = self.state(cell)
        if missing:
            return gap(missing, unit, metric, [cell], failed)
        try:
            values = self.block_df(metric, cell, q)["value"].to_numpy(float)
        except NotEnough as reason:
            return gap(str(reason), unit, metric, [cell], failed)
        if not len(values):
            return gap("this cell does not have this metric", unit, metric, [cell], failed)
        return _estimated(values, unit, metric, (cell,), failed, q=q)

    def pooled_share(self, metric, tries, twin=False, **levels):
        """Return the `Estimate` of a share over all tries of all blocks, with Wilson's interval: `metric` is each
        trial's share, `tries` the metric of how many tries it rests on. For rates of rare events; tries count as
        independent."""
        unit = self.metric(metric)["unit"]
        try:
            cell = self.one_cell(twin, levels)
        except NotPlanned as reason:
            return gap(str(reason), unit, metric, planned=False)
        failed, missing = self.state(cell)
        rows = self.observation_df[self.observation_df["cell"] == cell][
            ["block", metric, tries]
        ].dropna()
        if rows.empty:
            return gap(missing or "no try could be judged", unit, metric, [cell], failed)
        n = int(rows[tries].sum())
        interval = stats.wilson(int(round((rows[metric] * rows[tries]).sum())), n)
        values = tuple(rows.sort_values("block")[metric].tolist())
        return Estimate(
            interval.estimate,
            interval.low,
            interval.high,
            n,
            unit,
            metric,
            (cell,),
            "",
            failed,
            values,
            tries=tries,
        )

    def ratio(self, metric, of, to, q=0.5, **common):
        """Return the `Estimate` of the ratio between two cells, paired within blocks: `of` and `to` give the levels
        that differ (and may say twin=True), `common` the rest."""
        try:
            pair = [self._side({**common, **levels}) for levels in (of, to)]
        except NotPlanned as reason:
            return gap(str(reason), "1", metric, planned=False)
        if pair[0] == pair[1]:
            raise UserError(
                f"{self.experiment}: a ratio needs two cells, and both sides are {pair[0]}"
            )
        failed, missing = zip(*(self.state(cell) for cell in pair))
        if any(missing):
            return gap(next(filter(None, missing)), "1", metric, pair, sum(failed))
        try:
            frames = [self.block_df(metric, cell, q).set_index("block")["value"] for cell in pair]
        except NotEnough as reason:
            return gap(str(reason), "1", metric, pair, sum(failed))
        both = pd.concat(frames, axis=1, keys=["of", "to"], join="inner")
        if both.empty:
            return gap("no block has both cells", "1", metric, pair, sum(failed))
        if (both <= 0).any(axis=None):
            return gap("a value of 0 or below has no ratio", "1", metric, pair, sum(failed))
        ratios = both["of"].to_numpy() / both["to"].to_numpy()
        return _estimated(ratios, "1", metric, tuple(pair), sum(failed), paired=True, q=q)

    def _side(self, levels):
        return self.one_cell(levels.pop("twin", False), levels)

    def rank_agreement(self, of, to, **levels):
        """Return the `Estimate` of how far two metrics put these cells into one order, from best to worst, within each
        block: Kendall's tau-b, 1 for the same order and -1 for the reverse. Cells without one of them are left out."""
        cells = self.cells(**levels)["cell"].tolist()
        failed = sum(self.state(cell)[0] for cell in cells)
        frames = {metric: self._by_block(metric, cells) for metric in (of, to)}
        taus = []
        for block in self.blocks_in_order:
            pair = pd.DataFrame(
                {m: frame.reindex([block]).iloc[0] for m, frame in frames.items()}
            ).dropna()
            if len(pair) >= stats.MIN_BLOCKS and pair.nunique().min() > 1:
                taus.append(stats.rank_agreement(*pair.to_numpy().T).estimate)
        if not taus:
            return gap(
                f"no block has {stats.MIN_BLOCKS} cells with {of} and {to}", "1", of, cells, failed
            )
        return replace(
            _estimated(np.asarray(taus), "1", of, tuple(cells), failed, paired=True), plain=False
        )

    def _by_block(self, metric, cells):
        """Return a frame of a metric, a row per block and a column per cell, larger for better."""
        sign = -1 if self.metric(metric)["better"] == "lower" else 1
        columns = {
            cell: self.block_df(metric, cell).set_index("block")["value"] * sign for cell in cells
        }
        return pd.DataFrame(columns)

    def combined(self, metric, cells, function, q=0.5, unit="1"):
        """Return the `Estimate` of what `function` makes of a metric's values in several cells (by their ids) within
        each block; it takes a dict {cell: value}. Blocks that lack one of the cells are left out."""
        cells, states = tuple(cells), [self.state(cell) for cell in cells]
        failed, missing = (
            sum(state[0] for state in states),
            next((state[1] for state in states if state[1]), ""),
        )
        try:
            frames = (
                []
                if missing
                else [self.block_df(metric, cell, q).set_index("block")["value"] for cell in cells]
            )
        except NotEnough as reason:
            missing = str(reason)
        both = (
            pd.concat(frames, axis=1, keys=cells, join="inner")
            if frames and not missing
            else pd.DataFrame()
        )
        if both.empty:
            return gap(missing or "no block has all of the cells", unit, metric, cells, failed)
        values = np.array([float(function(dict(row))) for _, row in both.iterrows()])
        return replace(
            _estimated(values, unit, metric, cells, failed, paired=True, q=q), plain=False
        )

    def warnings(self, cells=None):
        """Return the `advice.Warning`s about the trials of these cells (ids), by default of all; each prints as a
        line."""
        return quality.of(self, cells)

    def floor(self, metric, q=0.5, looks=1):
        """Return the `stats.NoiseFloor` of a metric between the twin and its original cell, which are the same; `looks`
        is the number of metrics in which they are compared. Raises `NotEnough` saying why there is none."""
        if not self.described["twin"]:
            raise NotEnough("the experiment declares no twin")
        frames = [
            self.block_df(metric, cell, q).set_index("block")["value"] for cell in self._twins()
        ]
        both = pd.concat(frames, axis=1, keys=["a", "twin"], join="inner")
        if both.empty:
            raise NotEnough(f"the twin has no {metric}")
        if (
            both["a"] == both["twin"]
        ).all():  # also where all are 0: what never varies has no noise
            return stats.noise_floor(np.ones(len(both)), np.ones(len(both)))
        if (both <= 0).any(axis=None):
            raise NotEnough("a value of 0 or below has no ratio")
        return stats.noise_floor(both["a"].to_numpy(), both["twin"].to_numpy(), looks)

    def noise_floor(self, metric, q=0.5):
        """Return the `Estimate` (in %) of the smallest difference in a metric that is worth believing."""
        try:
            floor = self.floor(metric, q)
        except NotEnough as reason:
            cells = tuple(self._twins()) if self.described["twin"] else ()
            return gap(str(reason), "%", metric, cells)
        cells, n = tuple(self._twins()), floor.interval.n
        if floor.delta is None:
            why = f"a noise floor needs {stats.MIN_BLOCKS} blocks, and there are {n}"
            return Estimate(None, None, None, n, "%", metric, cells, why)
        return Estimate(100 * floor.smallest_difference, None, None, n, "%", metric, cells)

    def _twins(self):
        return [self.one_cell(twin, self.described["twin"]) for twin in (False, True)]

    def summary(self, metric, q=0.5, **levels):
        """Return the `Summary` of a metric over all cells with these levels (a level or list of levels each)."""
        cells = self.cells(**levels)
        estimates = [self.of_cell(metric, cell, q) for cell in cells["cell"]]
        if not estimates:
            reason = self.left_out(levels)
            estimates = [gap(str(reason), self.metric(metric)["unit"], metric, planned=False)]
        return Summary(cells[self.factors], estimates)


def _estimated(values, unit, metric, cells, failed, paired=False, q=0.5):
    """Return the `Estimate` over the blocks' `values`: on the log scale where they are all positive."""
    interval = stats.level(values) if (values > 0).all() else stats.median_interval(values)
    return Estimate(
        interval.estimate,
        interval.low,
        interval.high,
        interval.n,
        unit,
        metric,
        cells,
        "",
        failed,
        tuple(values.tolist()),
        paired,
        q,
    )


@dataclass
class Summary:
    """Estimates of one metric over several cells. `frame` has a row per cell: the factors, and the estimate's
    value, low, high, n, missing."""

    levels: pd.DataFrame
    estimates: list

    @property
    def frame(self):
        columns = ["value", "low", "high", "n", "missing"]
        of_cells = self.estimates[: len(self.levels)]  # without cells there is one that says why
        values = pd.DataFrame([[getattr(e, c) for c in columns] for e in of_cells], columns=columns)
        values[["value", "low", "high"]] = values[["value", "low", "high"]].astype(float)
        return pd.concat([self.levels.reset_index(drop=True), values], axis=1)

    @property
    def measured(self):
        """The rows of `frame` that have a value."""
        frame = self.frame
        return frame[frame["value"].notna()].reset_index(drop=True)

    @property
    def missing(self):
        """Why no cell has a value, when none has; else an empty string."""
        reasons = list(dict.fromkeys(e.missing for e in self.estimates))
        return "" if any(e.value is not None for e in self.estimates) else "; ".join(reasons)


def load(experiment, results_dir=None):
    """Return the `Results` of an experiment from a results directory, by default the reference of site "local".

    Raises `ResultsError` naming the file when it is missing, broken or of another schema.
    """
    folder = Path(results_dir) if results_dir else Project.find().results("local", REFERENCE)
    if results_dir and not folder.is_absolute():
        folder = Project.find().root / folder
    tables, files = {}, {}
    for kind in (OBSERVATIONS, TRIALS):
        path = folder / experiment / kind
        table, described = read(path)
        tables[kind] = table.to_pandas(maps_as_pydicts="strict")
        files[kind] = {"path": f"{experiment}/{kind}", "sha256": file_digest(path)}
    trial_df = tables[TRIALS]
    first = trial_df.iloc[0]
    kind = "reference results" if REFERENCE in folder.parts else "results"
    source = f"{kind} of site {first['site']}, scale {first['scale']}, {trial_df['block'].nunique()} blocks"
    return Results(described, trial_df, tables[OBSERVATIONS], source, files)
