"""Which cells were planned, and under which ids a cell has values of a metric."""

from functools import cached_property

import pandas as pd

from benchpaper.analysis import rows
from benchpaper.analysis.declared import ROW, Declared, Level
from benchpaper.core.errors import UserError, did_you_mean
from benchpaper.design.controls import is_control


class Cells(Declared):
    """Finds the cells of one experiment's results, and the rows within them (see `rows`)."""

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
            chosen = chosen[chosen[name].isin(self._checked_levels(name, wanted))]
        return chosen[["cell", *self.factors]].reset_index(drop=True)

    def rows(self, metric: str, twin: bool = False, **levels: Level) -> pd.DataFrame:
        """Return `cells` for a metric: a row per cell, or per cell and level of `within`.

        The latter, if trials observe the metric at each of these levels; the frame then has a
        column for them too, and `cell` is the id of a row (see `rows`).
        """
        self.metric(metric)
        outer = {name: level for name, level in levels.items() if name not in self.within}
        inner = {name: level for name, level in levels.items() if name in self.within}
        cells = self.cells(twin=twin, **outer)
        if not self._is_inner(metric, bool(inner)):
            if inner:
                raise UserError(
                    f"{self.experiment}: {metric} belongs to the whole trial; "
                    f"leave out {' and '.join(inner)}"
                )
            return cells
        wanted = {name: self._checked_levels(name, level) for name, level in inner.items()}
        chosen = [
            at
            for at in rows.products(self._inner)
            if all(at[name] in wanted[name] for name in wanted)
        ]
        frame = [
            {**cell, **at, "cell": rows.row_id(cell["cell"], at)}
            for cell in cells.to_dict("records")
            for at in chosen
        ]
        return pd.DataFrame(frame, columns=["cell", *self.factors, *self.within])

    def rows_of(self, metric: str, cell: str) -> list[str]:
        """Return the ids under which a cell has values of a metric: its own, or its rows'."""
        if not self._is_inner(metric, False):
            return [cell]
        return [rows.row_id(cell, at) for at in rows.products(self._inner)]

    def _is_inner(self, metric: str, named: bool) -> bool:
        """Return whether trials observe a metric at levels of `within`; unobserved, if `named`."""
        if not self.within:
            return False
        observed = self.observation_df[self.observation_df[metric].notna()]
        if observed.empty:
            return named
        if self.within == [ROW]:
            return bool(observed.duplicated(["block", "cell"]).any())
        return bool(observed[self.within[0]].notna().any())

    def is_control(self, row: str) -> bool:
        """Return whether a cell, or a row's, is a control or the null target, by its id."""
        return self._are_controls[self.cell_of(row)]

    @cached_property
    def _are_controls(self) -> dict[str, bool]:
        cells = self._distinct[["cell", *self.factors]].to_dict("records")
        return {levels["cell"]: is_control(levels, self.controls, self.null) for levels in cells}

    def cell_of(self, row: str) -> str:
        """Return the cell of a row's id; a cell's id is its own."""
        return self._row_levels.get(row, (row, {}))[0]

    def levels_within(self, row: str) -> dict[str, Level]:
        """Return the levels of `within` that a row's id names; empty for a cell's id."""
        return self._row_levels.get(row, (row, {}))[1]

    @cached_property
    def _row_levels(self) -> dict[str, tuple[str, dict[str, Level]]]:
        """Every row's id, with its cell and its levels of `within`."""
        if not self.within:
            return {}
        known = {
            rows.row_id(cell, at): (cell, at)
            for cell in self._trials_of
            for at in rows.products(self._inner)
        }
        if taken := set(known) & set(self._trials_of):
            raise UserError(f'{self.experiment}: "{min(taken)}" names two things; rename a level')
        return known

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
