"""Warnings that teach: what in a set of trials should make a reader careful, against which limit, and what to do next.

They are computed from what the trial records hold, so that each stands for the trials it was stored with. A column
that a record lacks is unknown, and warns of nothing.
"""

from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np

from benchpaper.analysis import independence, stats
from benchpaper.results import FAILED, MEASURED

STEAL_SHARE, STEAL_LEAST_S = (
    0.02,
    0.02,
)  # of the CPU time of all CPUs; /proc/stat counts in hundredths of a second
SUSPENDED_S = 0.1
OWN_SHARE = 0.8  # of a latency that is the load generator's own, or of a throughput that it reaches against nothing


@dataclass(frozen=True)
class Warning:
    """A `kind`, the `quantity` found, the `limit` it is compared with, the next `action`, and how many `trials`."""

    kind: str
    quantity: str
    limit: str
    action: str
    trials: int

    def __str__(self):
        return f"{self.kind}: {self.quantity} ({self.limit}); {self.action}"

    def plain(self):
        """Return it as a dict, for JSON."""
        return {**asdict(self), "text": str(self)}


def of(results, cells=None):
    """Return the `Warning`s about the trials of `cells` (ids; by default all): one a kind, with its number of
    trials."""
    cells = list(dict.fromkeys(results.trial_df["cell"] if cells is None else cells))
    trial_df = results.trial_df[results.trial_df["cell"].isin(cells)]
    run = trial_df[trial_df["state"].isin([MEASURED, FAILED])]
    found = [
        _failed(run),
        _blocks(run),
        *_disturbed(run),
        _client_bound(results, cells),
        _drift(results, cells),
    ]
    return [warning for warning in found if warning]


def _failed(run):
    failed = run[run["state"] == FAILED]
    if failed.empty:
        return None
    reason, count = Counter(failed["reason"]).most_common(1)[0]
    return Warning(
        "failed trials",
        f"{len(failed)} of {len(run)} trials failed, {count} of them so: {reason}",
        "0 should; they are in no average",
        "read their logs in the results' folder failed/, and measure again",
        len(failed),
    )


def _blocks(run):
    blocks = run["block"].nunique()
    if run.empty or blocks >= stats.MIN_BLOCKS:
        return None
    return Warning(
        "too few blocks",
        f"{blocks} blocks",
        f"at least {stats.MIN_BLOCKS} make an interval, and a verdict",
        "measure at scale quick or full",
        len(run),
    )


def _disturbed(run):
    """What the machine did beside the trials; for each kind, the trials beyond the limit and the worst of them."""
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
        "end what else runs on this machine, if anything does: trials of the minute before count too",
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


def _beyond(kind, values, limit, shown, action):
    over = values[values > limit]
    if over.empty:
        return None
    quantity = f"up to {shown.format(over.max())} in {len(over)} of {len(values)} trials"
    limit = shown.split(" ")[0].format(limit) if limit else "none"
    return Warning(kind, quantity, f"limit: {limit}", action, len(over))


def _cpus(hosts):
    """CPUs of the smallest host."""
    return min(
        (int(count) for name, count in dict(hosts).items() if name.endswith(".cpus")), default=1
    )


def null_shares(results):
    """Return {cell id: share}: how much of each cell's value of the first metric with a direction is the load
    generator's own, against the null target at the same other levels, or the only one there is. Beyond `OWN_SHARE` a
    cell is client-bound. Cells without a null target are absent."""
    metric, nulls = results.telling, _nulls(results)
    if not nulls or metric["better"] == "neither":
        return {}
    floors = {null: results.of_cell(metric["name"], null).value for null in nulls}
    shares = {}
    for row in results.cells().to_dict("records"):
        null = _null_of(row, nulls)
        if row["cell"] not in nulls and floors.get(null):
            value = results.of_cell(metric["name"], row["cell"]).value
            if value:
                shares[row["cell"]] = (
                    floors[null] / value if metric["better"] == "lower" else value / floors[null]
                )
    return shares


def _client_bound(results, cells):
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
    return Warning(
        "client-bound",
        f"in {len(bound)} of {len(shares)} cells {share}",
        f"limit: {OWN_SHARE:.0%}",
        "they measure the load generator, not the system: use a faster one, or take them for a bound",
        len(bound) * results.blocks,
    )


def _nulls(results):
    """Return {cell id: levels besides the null one} of the null target's cells."""
    if results.null is None:
        return {}
    (null,) = results.null
    others = [name for name in results.factors if name != null]
    rows = results.cells(**results.null).to_dict("records")
    return {row["cell"]: {name: row[name] for name in others} for row in rows}


def _null_of(row, nulls):
    same = [
        null
        for null, levels in nulls.items()
        if all(row[name] == level for name, level in levels.items())
    ]
    return same[0] if same else next(iter(nulls)) if len(nulls) == 1 else None


def _drift(results, cells):
    """Whether the blocks as a whole got faster or slower: each block's median over the cells, after each cell's values
    are divided by its own median."""
    metric = results.telling["name"]
    series = [s for cell in cells if (s := _block_values(results, metric, cell)) is not None]
    if not series:
        return None
    blocks = list(results.blocks_in_order)
    effects = [[s[block] / s.median() for s in series if block in s.index] for block in blocks]
    effects = [float(np.median(effect)) for effect in effects if effect]
    if len(effects) < stats.MIN_BLOCKS or not (flaw := independence.correlated(effects)):
        return None
    spread = max(effects) / min(effects) - 1
    return Warning(
        "drift",
        f"{flaw.short}: {metric} differs by up to {spread:.0%} between blocks",
        f"p at most {independence.SIGNIFICANCE:g}",
        "compare in pairs within a block, or measure on a quieter machine",
        len(series) * len(effects),
    )


def _block_values(results, metric, cell):
    """The cell's positive values by block, or None."""
    from benchpaper.analysis.values import NotEnough

    try:
        values = results.block_df(metric, cell).set_index("block")["value"]
    except NotEnough:
        return None
    return values if len(values) and values.min() > 0 else None
