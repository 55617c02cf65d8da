"""How many blocks: fixed once, from the spread in a pilot and the time there is, before the other blocks are measured.

A scale with a `pilot` plans those blocks alone until `fix` has written blocks.json beside the results; from then on it
plans as many as stand there, the pilot's among them. Measuring until an interval looks narrow would cost coverage
(91-94 %); fixing the number once does not (93-95 % in simulation).
"""

import hashlib
import json

from benchpaper import results
from benchpaper.core.errors import UserError

FIXED = "blocks.json"


def fixed(folder, experiment, scale):
    """Return what `fix` wrote for these cells below the experiment's results `folder`, or None. What was fixed for
    other cells says nothing about these."""
    path = folder / FIXED
    if experiment.scale(scale).pilot is None or not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        return (
            found
            if found["cells_digest"] == _digest(experiment, scale) and found["blocks"] >= 1
            else None
        )
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{_short(path)} cannot be read; remove it, and take the pilot again"
        ) from None


def check(folder, experiment, scale):
    """Raise `UserError` unless a pilot of the experiment is there to be taken."""
    if experiment.scale(scale).pilot is None:
        raise UserError(
            f"{experiment.name} declares no pilot at scale {scale}, but {experiment.scale(scale).blocks} blocks; "
            "declare Scale(pilot=9, half_width=0.05, ...) for one"
        )
    if found := fixed(folder, experiment, scale):
        raise UserError(
            f"the blocks of {experiment.name} at scale {scale} are fixed at {found['blocks']} already, "
            f"once and for all; to start over, with new blocks, remove {_short(folder)}"
        )


def fix(folder, experiment, scale):
    """Fix the number of blocks from the pilot that was measured and collected below `folder`: write blocks.json, note
    it in the results, and return it. The twin's cell decides, being the noisiest."""
    from benchpaper.analysis import (
        stats,  # they load pandas and SciPy, and every command begins by importing this module
    )
    from benchpaper.analysis.estimates import load

    chosen, measured = (
        experiment.scale(scale),
        load(experiment.name, folder.parents[experiment.name.count("/")]),
    )
    metric = measured.telling["name"]
    estimate = measured.estimate(metric, **measured.described["twin"])
    if estimate.n < stats.MIN_BLOCKS or min(estimate.values) <= 0:
        few = (
            f"{estimate.n} of {chosen.pilot} blocks have a positive {metric} in {estimate.cells[0]}"
        )
        why = estimate.missing or few
        raise UserError(
            f"the pilot of {experiment.name} tells no spread: {why}; mend that, and take the pilot again"
        )
    needed = stats.blocks_needed(estimate.values, chosen.half_width)
    block_s = float(
        measured.trial_df.groupby("block")[["seconds", "overhead_s"]].sum().sum(axis=1).median()
    )
    affordable = chosen.blocks
    if chosen.budget_s is not None:
        affordable = min(affordable, int(chosen.budget_s / max(block_s, 1e-9)))
    found = {
        "blocks": max(chosen.pilot, min(needed, affordable)),
        "pilot": chosen.pilot,
        "needed": needed,
        "affordable": affordable,
        "half_width": chosen.half_width,
        "metric": metric,
        "cell": estimate.cells[0],
        "block_seconds": round(block_s, 3),
        "cells_digest": _digest(experiment, scale),
    }
    part = folder / f".{FIXED}.part"
    part.write_text(json.dumps(found, indent=1))
    part.replace(folder / FIXED)
    results.collect(folder, chosen.pilot, blocks_fixed=found)
    return found


def told(found):
    """Return what was fixed, and from what, in one line."""
    why = f"the pilot's {found['pilot']} blocks"
    if found["needed"] > found["affordable"]:
        why = f"the limit of {found['affordable']} blocks (of {found['block_seconds']:.3g} s each)"
    return (
        f"{found['blocks']} blocks, fixed by {why}: an interval of ±{100 * found['half_width']:.3g}% for {found['metric']} of "
        f"{found['cell']} takes about {found['needed']}"
    )


def _digest(experiment, scale):
    """What was fixed holds for these cells, in whatever order a seed puts them."""
    return hashlib.sha256(
        "\n".join(cell.id for cell in experiment.cells(scale)).encode()
    ).hexdigest()


def _short(path):
    return (
        "/".join(path.parts[path.parts.index("results") :])
        if "results" in path.parts
        else path.name
    )
