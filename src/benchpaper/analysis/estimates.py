"""Estimates over blocks with their intervals, for notebooks and claims; gaps where data lack."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchpaper.analysis import emulated, quality, stats
from benchpaper.analysis.arrays import FloatArray
from benchpaper.analysis.floors import Floors
from benchpaper.analysis.manifests import FileJson
from benchpaper.analysis.summary import Summary
from benchpaper.analysis.tables import Level, NotPlanned
from benchpaper.analysis.values import Estimate, InsufficientDataError, estimated, gap
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.results import OBSERVATIONS, TRIALS, file_digest, read
from benchpaper.results.import_record import record_of

__all__ = ["Estimate", "InsufficientDataError", "Results", "Summary", "gap", "load"]


class Results(Floors):
    """The results of one experiment, as `load` returns them: estimates over its blocks.

    A cell that a smaller scale leaves out gives a gap, since the paper has the same exhibits at
    every scale. At the paper's own scale it is an error.
    """

    def estimate(
        self, metric: str, q: float = 0.5, twin: bool = False, **levels: Level
    ) -> Estimate:
        """Return the `Estimate` of a metric in the only cell with these levels.

        For a distribution it is the quantile `q` within each block. Raises `UserError` for an
        unknown metric, factor, or level, and if several cells match.
        """
        try:
            return self.of_cell(metric, self.one_cell(twin, levels, metric), q)
        except NotPlanned as reason:
            return gap(str(reason), self.metric(metric)["unit"], metric, planned=False)

    def of_cell(self, metric: str, cell: str, q: float = 0.5) -> Estimate:
        """Return the `Estimate` of a metric in a cell, given by its id."""
        key = metric, cell, q
        if key not in self._estimates:
            self._estimates[key] = self._of_cell(metric, cell, q)
        return self._estimates[key]

    def _of_cell(self, metric: str, cell: str, q: float) -> Estimate:
        unit = self.metric(metric)["unit"]
        failed, missing = self.state(cell)
        if missing:
            return gap(missing, unit, metric, [cell], failed)
        try:
            values = self.block_df(metric, cell, q)["value"].to_numpy(float)
        except InsufficientDataError as reason:
            return gap(str(reason), unit, metric, [cell], failed)
        if not len(values):
            return gap("this cell does not have this metric", unit, metric, [cell], failed)
        return self._over_blocks(values, unit, metric, (cell,), failed, q=q)

    def pooled_share(
        self, metric: str, tries: str, twin: bool = False, **levels: Level
    ) -> Estimate:
        """Return the `Estimate` of a share over all tries of all blocks, with Wilson's interval.

        `metric` is each trial's share, `tries` the metric that counts its tries. Use it for rates
        of rare events; it assumes independent tries.
        """
        try:
            return self.pooled_share_of(metric, tries, self.one_cell(twin, levels, metric))
        except NotPlanned as reason:
            return gap(str(reason), self.metric(metric)["unit"], metric, planned=False)

    def pooled_share_of(self, metric: str, tries: str, cell: str) -> Estimate:
        """Return `pooled_share` for a cell given by its id."""
        unit = self.metric(metric)["unit"]
        self.metric(tries)
        failed, missing = self.state(cell)
        if why := self.why_no_result(metric, cell):
            return gap(why, unit, metric, [cell], failed)
        tried = self._observed(cell)[["block", metric, tries]].dropna()
        if tried.empty:
            return gap(missing or "no try could be judged", unit, metric, [cell], failed)
        n = int(tried[tries].sum())
        interval = stats.wilson(round(float((tried[metric] * tried[tries]).sum())), n)
        values = tuple(tried.sort_values("block")[metric].tolist())
        return Estimate(
            interval.estimate,
            interval.low,
            interval.high,
            n,
            unit,
            metric,
            (cell,),
            failed=failed,
            values=values,
            tries=tries,
            second=tries,
            by="share",
        )

    def ratio(
        self,
        metric: str,
        of: Mapping[str, Level],
        to: Mapping[str, Level],
        q: float = 0.5,
        **common: Level,
    ) -> Estimate:
        """Return the `Estimate` of the ratio between two cells, paired within blocks.

        `of` and `to` give the levels that differ (and may say twin=True), `common` the rest.
        """
        self.metric(metric)
        try:
            pair = [self._side(metric, {**common, **levels}) for levels in (of, to)]
        except NotPlanned as reason:
            return gap(str(reason), "1", metric, planned=False)
        return self.ratio_of(metric, pair, q)

    def ratio_of(self, metric: str, pair: Sequence[str], q: float = 0.5) -> Estimate:
        """Return `ratio` for a pair of cells given by their ids."""
        if pair[0] == pair[1]:
            raise UserError(
                f"{self.experiment}: a ratio needs two cells, and both sides are {pair[0]}"
            )
        self.metric(metric)
        failed, missing = self._failed_and_missing(pair)
        if missing:
            return gap(missing, "1", metric, pair, failed)
        try:
            frames = [self._values(metric, cell, q) for cell in pair]
        except InsufficientDataError as reason:
            return gap(str(reason), "1", metric, pair, failed)
        both = pd.concat(frames, axis=1, keys=["of", "to"], join="inner")
        if both.empty:
            return gap("no block has both cells", "1", metric, pair, failed)
        if (both <= 0).any(axis=None):
            return gap("a value of 0 or below has no ratio", "1", metric, pair, failed)
        ratios = both["of"].to_numpy() / both["to"].to_numpy()
        return self._over_blocks(ratios, "1", metric, tuple(pair), failed, paired=True, q=q)

    def _side(self, metric: str, levels: dict[str, Level]) -> str:
        return self.one_cell(levels.pop("twin", False), levels, metric)

    def _failed_and_missing(self, cells: Iterable[str]) -> tuple[int, str]:
        """Return (number of failed trials, why the first cell without values has none)."""
        states = [self.state(cell) for cell in cells]
        return sum(failed for failed, _ in states), next((why for _, why in states if why), "")

    def rank_agreement(self, of: str, to: str, **levels: Level) -> Estimate:
        """Return the `Estimate` of how well two metrics agree on the order of these cells.

        It is Kendall's tau-b within each block, from best to worst: 1 for the same order, -1 for
        the reverse. Cells that lack one of the metrics are left out.
        """
        return self.rank_agreement_of(of, to, self.rows(of, **levels)["cell"].tolist())

    def rank_agreement_of(self, of: str, to: str, cells: Sequence[str]) -> Estimate:
        """Return `rank_agreement` for cells given by their ids."""
        failed, _ = self._failed_and_missing(cells)
        try:
            frames = {metric: self._by_block(metric, cells) for metric in (of, to)}
        except InsufficientDataError as reason:
            return gap(str(reason), "1", of, cells, failed)
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
            self._over_blocks(np.asarray(taus), "1", of, tuple(cells), failed, paired=True),
            by="rank agreement",
            second=to,
        )

    def _by_block(self, metric: str, cells: Iterable[str]) -> pd.DataFrame:
        """Return a metric's frame: a row per block, a column per cell; larger is better."""
        sign = -1 if self.metric(metric)["better"] == "lower" else 1
        return pd.DataFrame({cell: self._values(metric, cell) * sign for cell in cells})

    def combined(
        self,
        metric: str,
        cells: Iterable[str],
        function: Callable[[dict[str, float]], float],
        q: float = 0.5,
        unit: str = "1",
    ) -> Estimate:
        """Return the `Estimate` of a function of a metric's values in several cells of a block.

        `function` takes a dict {cell id: value}; `unit` is that of its result. Blocks that lack one
        of the cells are left out.
        """
        self.metric(metric)
        cells = tuple(cells)
        failed, missing = self._failed_and_missing(cells)
        frames = []
        try:
            if not missing:
                frames = [self._values(metric, cell, q) for cell in cells]
        except InsufficientDataError as reason:
            missing = str(reason)
        both = (
            pd.concat(frames, axis=1, keys=cells, join="inner")
            if frames and not missing
            else pd.DataFrame()
        )
        if both.empty:
            return gap(missing or "no block has all of the cells", unit, metric, cells, failed)
        values = np.array([float(function(dict(row))) for _, row in both.iterrows()])
        estimate = self._over_blocks(values, unit, metric, cells, failed, paired=True, q=q)
        return replace(estimate, by="")

    def estimated(
        self,
        values: Sequence[float],
        unit: str,
        metric: str,
        cells: Iterable[str],
        paired: bool = False,
        q: float = 0.5,
    ) -> Estimate:
        """Return the `Estimate` over values that were computed before, one for each block."""
        cells = tuple(cells)
        failed, _ = self._failed_and_missing(cells)
        estimate = self._over_blocks(
            np.asarray(values, float), unit, metric, cells, failed, paired, q
        )
        return replace(estimate, by="")

    def _over_blocks(self, values: FloatArray, *rest: Any, **options: Any) -> Estimate:
        """Return the `Estimate` over the blocks' `values` (see `values.estimated`)."""
        return replace(estimated(values, *rest, **options), over=self.block_over)

    def warnings(self, cells: Iterable[str] | None = None) -> list[quality.QualityWarning]:
        """Return warnings about the trials of these cells (ids; default: all).

        Each prints as a line.
        """
        return quality.of(self, cells)

    def summary(self, metric: str, q: float = 0.5, **levels: Level) -> Summary:
        """Return the `Summary` of a metric over all cells with these levels.

        `levels` gives a level or a list of levels of a factor. A metric that trials observe at each
        level of `within` has an estimate for each of them.
        """
        cells = self.rows(metric, **levels)
        estimates = [self.of_cell(metric, cell, q) for cell in cells["cell"]]
        if not estimates:
            reason = self.left_out(levels)
            estimates = [gap(str(reason), self.metric(metric)["unit"], metric, planned=False)]
        return Summary(cells.drop(columns="cell"), estimates)


def load(experiment: str, results_dir: str | Path | None = None, whole: bool = False) -> Results:
    """Return the `Results` of an experiment from a results directory.

    A relative directory is below the project; the default is the reference of site "local".
    `whole` keeps the times of emulated machines, which are no results, for checks of the files.
    Raises `ResultsError`, naming the file, if a file is missing, broken, or of another schema.
    """
    folder = Path(results_dir) if results_dir else Project.find().results("local", REFERENCE)
    if results_dir and not folder.is_absolute():
        folder = Project.find().root / folder
    tables: dict[str, Any] = {}
    files: dict[str, FileJson] = {}
    for kind in (OBSERVATIONS, TRIALS):
        path = folder / experiment / kind
        table, described = read(path)
        tables[kind] = table.to_pandas(maps_as_pydicts="strict")
        files[kind] = {"path": f"{experiment}/{kind}", "sha256": file_digest(path)}
    trial_df = tables[TRIALS]
    first = trial_df.iloc[0]
    kind = "reference results" if REFERENCE in folder.parts else "results"
    blocks = trial_df["block"].nunique()
    source = f"{kind} of site {first['site']}, scale {first['scale']}, {blocks} blocks"
    if record := record_of(described):
        source = f"results imported on {record.when} from {record.origin}, {blocks} blocks"
    observation_df = tables[OBSERVATIONS]
    if not whole:
        observation_df = emulated.without_times(described["metrics"], trial_df, observation_df)
    known = described.get("controls") or settings.controls(folder.resolve(), experiment)
    return Results(described, trial_df, observation_df, source, files, known)
