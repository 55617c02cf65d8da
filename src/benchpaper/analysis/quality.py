"""Warnings about the quality of trials: the quantity, its limit, and the next action.

They are computed from the trial records, so they hold for exactly the stored trials. A column that
a record lacks raises no warning.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchpaper.analysis import independence, stats
from benchpaper.analysis.tables import Level, Measured
from benchpaper.analysis.values import InsufficientDataError
from benchpaper.core import settings
from benchpaper.design.replication import OVER_TIME
from benchpaper.results import FAILED, MEASURED, NOT_TRIED
from benchpaper.results.import_record import ImportRecord

STEAL_SHARE = 0.02  # of the CPU time of all CPUs
STEAL_LEAST_S = 0.02  # /proc/stat counts in hundredths of a second
SUSPENDED_S = 0.1
OWN_SHARE = 0.8  # of a latency, or of the null target's throughput


@dataclass(frozen=True)
class QualityWarning:
    """A `kind` of trouble: `quantity`, the `limit`, the next `action`, how many `trials`."""

    kind: str
    quantity: str
    limit: str
    action: str
    trials: int

    def __str__(self) -> str:
        return f"{self.kind}: {self.quantity} ({self.limit}); {self.action}"

    def plain(self) -> dict[str, Any]:
        """Return the warning as a dict, for JSON."""
        return {**asdict(self), "text": str(self)}


def of(results: Measured, cells: Iterable[str] | None = None) -> list[QualityWarning]:
    """Return the warnings about the trials of `cells` (ids; default: all), at most one per kind."""
    cells = list(dict.fromkeys(results.trial_df["cell"] if cells is None else cells))
    trial_df = results.trial_df[results.trial_df["cell"].isin(cells)]
    if results.imported:
        return [_imported(results.imported, trial_df)]
    run = trial_df[trial_df["state"].isin([MEASURED, FAILED])]
    warnings = [
        _failed(run),
        _blocks(run),
        *_disturbed(run),
        _client_bound(results, cells),
        _drift(results, cells),
    ]
    return [warning for warning in warnings if warning]


def _imported(record: ImportRecord, trial_df: pd.DataFrame) -> QualityWarning:
    """Warn that others measured these trials: nothing is known of what disturbed them."""
    return QualityWarning(
        "imported results",
        f"{len(trial_df)} values were not measured here; they come from {record.origin}",
        record.replication,
        "their machine and its disturbances are not ours: compare with care",
        len(trial_df),
    )


def _failed(run: pd.DataFrame) -> QualityWarning | None:
    failed = run[run["state"] == FAILED]
    skipped = failed["reason"].str.startswith(NOT_TRIED)
    tried, rest = failed[~skipped], f"; {skipped.sum()} more were not tried again"
    if tried.empty:
        return None
    reason, count = Counter(tried["reason"]).most_common(1)[0]
    return QualityWarning(
        "failed trials",
        f"{len(tried)} of {len(run)} trials failed, {count} of them so: {reason}"
        f"{rest if skipped.any() else ''}",
        "0 should; they are in no average",
        "read their logs in the results' folder failed/, and measure again",
        len(tried),
    )


def _blocks(run: pd.DataFrame) -> QualityWarning | None:
    blocks = run["block"].nunique()
    if run.empty or blocks >= stats.MIN_BLOCKS:
        return None
    return QualityWarning(
        "too few blocks",
        f"{blocks} blocks",
        f"at least {stats.MIN_BLOCKS} make an interval, and a verdict",
        f"measure at scale {' or '.join(settings.scales_here().names[1:]) or 'with more blocks'}",
        len(run),
    )


def _disturbed(run: pd.DataFrame) -> Iterator[QualityWarning | None]:
    """Warn of each kind of disturbance by the machine, if trials exceed its limit."""
    cpus = run["hosts"].map(_cpus)
    steal = run["steal_s"] / (run["seconds"].clip(lower=1e-9) * cpus)
    yield _beyond(
        "steal time",
        steal.where(run["steal_s"] > STEAL_LEAST_S, 0),
        STEAL_SHARE,
        "{:.1%} of the CPU time",
        "measure when the hypervisor's other guests are quiet, or on a machine of your own",
    )
    yield _beyond(
        "load",
        run["load_1m"] / cpus,
        1.0,
        "{:.2f} runnable tasks per CPU at the start",
        "end what else runs on this machine, if anything does: "
        "trials of the minute before count too",
    )
    yield _beyond(
        "suspended",
        run["suspended_s"],
        SUSPENDED_S,
        "{:.1f} s",
        "keep the machine awake while it measures, and stop no process; measure those trials again",
    )
    yield _beyond(
        "paused",
        run["paused_s"],
        0,
        "{:.0f} s between two trials of one block",
        "if cells before and after the pause are compared, measure that block again",
    )
    for kind, column, shown, action in (
        ("swapping", "swapped_mb", "{:.1f} MB", "free memory, or take smaller working sets"),
        (
            "throttled",
            "throttled_s",
            "{:.2f} s held back by a CPU quota",
            "raise the container's CPU quota",
        ),
        (
            "overheated",
            "overheated",
            "{:.0f} thermal throttling events",
            "let the machine cool, or fix its clock rate",
        ),
    ):
        if column in run:
            yield _beyond(kind, run[column].astype(float).fillna(0), 0, shown, action)


def _beyond(
    kind: str, values: pd.Series, limit: float, shown: str, action: str
) -> QualityWarning | None:
    over = values[values > limit]
    if over.empty:
        return None
    quantity = f"up to {shown.format(over.max())} in {len(over)} of {len(values)} trials"
    shown_limit = shown.split(" ")[0].format(limit) if limit else "none"
    return QualityWarning(kind, quantity, f"limit: {shown_limit}", action, len(over))


def _cpus(hosts: Mapping[str, str]) -> int:
    """Return the CPUs of the smallest host."""
    return min(
        (int(count) for name, count in dict(hosts).items() if name.endswith(".cpus")), default=1
    )


def null_shares(results: Measured) -> dict[str, float]:
    """Return {cell id: share}: how much of the cell's value is the load generator's own.

    The value is that of the main metric. It is compared with the null target at the same other
    levels, or with the only null target. Beyond `OWN_SHARE` a cell is client-bound. Cells without
    a null target are absent.
    """
    metric, nulls = results.telling, _nulls(results)
    if not nulls or metric["better"] == "neither":
        return {}
    floors = {null: results.of_cell(metric["name"], null).value for null in nulls}
    shares = {}
    for row in results.cells().to_dict("records"):
        null = _null_of(row, nulls)
        floor = floors[null] if null else None
        if not floor or row["cell"] in nulls:
            continue
        value = results.of_cell(metric["name"], row["cell"]).value
        if value:
            lower = metric["better"] == "lower"
            shares[row["cell"]] = floor / value if lower else value / floor
    return shares


def _client_bound(results: Measured, cells: Collection[str]) -> QualityWarning | None:
    """Warn of cells whose value is mostly the load generator's own."""
    metric = results.telling
    shares = {cell: share for cell, share in null_shares(results).items() if cell in cells}
    bound = [share for share in shares.values() if share > OWN_SHARE]
    if not bound:
        return None
    sides = (
        ("the null target's", "of theirs")
        if metric["better"] == "lower"
        else ("their", "of the null target's")
    )
    share = f"{sides[0]} {metric['name']} is up to {max(bound):.0%} {sides[1]}"
    return QualityWarning(
        "client-bound",
        f"in {len(bound)} of {len(shares)} cells {share}",
        f"limit: {OWN_SHARE:.0%}",
        "they measure the load generator, not the system: "
        "use a faster one, or take them for a bound",
        len(bound) * results.blocks,
    )


def _nulls(results: Measured) -> dict[str, dict[str, Level]]:
    """Return {cell id: levels of the other factors} of the null target's cells."""
    if results.null is None:
        return {}
    (null,) = results.null
    others = [name for name in results.factors if name != null]
    rows = results.cells(**results.null).to_dict("records")
    return {row["cell"]: {name: row[name] for name in others} for row in rows}


def _null_of(row: Mapping[str, Level], nulls: Mapping[str, Mapping[str, Level]]) -> str | None:
    """Return the null target's cell with a row's other levels, or else its only cell."""
    same = [
        null
        for null, levels in nulls.items()
        if all(row[name] == level for name, level in levels.items())
    ]
    return same[0] if same else next(iter(nulls)) if len(nulls) == 1 else None


def _drift(results: Measured, cells: Iterable[str]) -> QualityWarning | None:
    """Warn if the blocks as a whole got faster or slower.

    A block's effect is the median over its cells' values, each divided by the median of its cell.
    Blocks over seeds or inputs have no order.
    """
    if results.block_over != OVER_TIME:
        return None
    metric = results.telling["name"]
    rows = (row for cell in cells for row in results.rows_of(metric, cell))
    series = [values for row in rows if (values := _block_values(results, metric, row))]
    if not series:
        return None
    medians = [float(np.median(list(values.values()))) for values in series]
    relative = [
        [values[block] / m for values, m in zip(series, medians, strict=True) if block in values]
        for block in results.blocks_in_order
    ]
    effects = [float(np.median(values)) for values in relative if values]
    if len(effects) < stats.MIN_BLOCKS or not (flaw := independence.correlated(effects)):
        return None
    spread = max(effects) / min(effects) - 1
    return QualityWarning(
        "drift",
        f"{flaw}: {metric} differs by up to {spread:.0%} between blocks",
        f"p at most {independence.SIGNIFICANCE:g}",
        "compare in pairs within a block, or measure on a quieter machine",
        len(series) * len(effects),
    )


def _block_values(results: Measured, metric: str, cell: str) -> dict[int, float]:
    """Return {block: the cell's value}; empty unless all values are positive."""
    try:
        frame = results.block_df(metric, cell)
    except InsufficientDataError:
        return {}
    values = dict(zip(frame["block"].tolist(), frame["value"].tolist(), strict=True))
    return values if min(values.values(), default=0.0) > 0 else {}
