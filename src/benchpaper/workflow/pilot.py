"""Fixes the number of blocks once, from the spread in a pilot and the time budget.

A scale with a `pilot` plans only the pilot's blocks until `fix` writes blocks.json next to the
results. From then on it plans the number in that file, which includes the pilot's blocks. Measuring
until an interval looks narrow would cost coverage (91-94 %); fixing the number once does not
(93-95 % in simulation).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.errors import UserError
from benchpaper.design.spec import Experiment

FIXED = "blocks.json"


def fixed(folder: Path, experiment: Experiment, scale: str) -> dict[str, Any] | None:
    """Return what `fix` wrote for these cells below the experiment's results `folder`, or None.

    A number that was fixed for other cells does not count. Raises `UserError` for a broken file.
    """
    path = folder / FIXED
    if experiment.scale(scale).pilot is None or not path.exists():
        return None
    content = _valid(path) or _collected(folder)
    if content is None:
        raise UserError(f"{_short(path)} cannot be read; remove it, and take the pilot again")
    is_current = content["cells_digest"] == _digest(experiment, scale) and content["blocks"] >= 1
    return content if is_current else None


def restore(folder: Path) -> bool:
    """Write blocks.json again from the results if it is damaged; return whether that was so."""
    path = folder / FIXED
    if not path.exists() or _valid(path) or not (content := _collected(folder)):
        return False
    _save(folder, content)
    return True


def _valid(path: Path) -> dict[str, Any] | None:
    """Return the content of blocks.json; None if it is damaged."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        int(content["blocks"]), str(content["cells_digest"])
    except (ValueError, KeyError, TypeError):
        return None
    return content


def _collected(folder: Path) -> dict[str, Any] | None:
    """Return what `fix` noted in the collected results; None without them."""
    try:
        return results.read_description(folder / results.TRIALS).get("blocks_fixed")
    except results.ResultsError:
        return None


def _save(folder: Path, content: dict[str, Any]) -> None:
    atomic_write(folder / FIXED, json.dumps(content, indent=1))


def check(folder: Path, experiment: Experiment, scale: str) -> None:
    """Raise `UserError` unless the experiment declares a pilot that is still to be measured."""
    if experiment.scale(scale).pilot is None:
        raise UserError(
            f"{experiment.name} declares no pilot at scale {scale}, but "
            f"{experiment.scale(scale).blocks} blocks; "
            "declare Scale(pilot=9, half_width=0.05, ...) for one"
        )
    if known := fixed(folder, experiment, scale):
        raise UserError(
            f"the blocks of {experiment.name} at scale {scale} are fixed at {known['blocks']} "
            f"already, once and for all; to start over, with new blocks, remove {_short(folder)}"
        )


def fix(folder: Path, experiment: Experiment, scale: str) -> dict[str, Any]:
    """Fix the number of blocks from the pilot that was measured and collected below `folder`.

    Writes blocks.json, notes its content in the results, and returns it. The twin's cell decides,
    because it is the noisiest. Raises `UserError` if the pilot shows no spread.
    """
    # pandas and SciPy load here, because every command imports this module.
    from benchpaper.analysis import stats
    from benchpaper.analysis.estimates import load

    chosen = experiment.scale(scale)
    assert chosen.pilot is not None and chosen.half_width is not None  # `check` came first
    depth = str(experiment.name).count("/")
    measured = load(experiment.name, folder.parents[depth])
    metric = measured.telling["name"]
    estimate = measured.estimate(metric, **measured.described["twin"])
    if estimate.n < stats.MIN_BLOCKS or min(estimate.values) <= 0:
        few = (
            f"{estimate.n} of {chosen.pilot} blocks have a positive {metric} in {estimate.cells[0]}"
        )
        why = estimate.missing or few
        raise UserError(
            f"the pilot of {experiment.name} shows no spread: {why}; "
            "correct that, and take the pilot again"
        )
    needed = stats.blocks_needed(estimate.values, chosen.half_width)
    block_s = float(
        measured.trial_df.groupby("block")[["seconds", "overhead_s"]].sum().sum(axis=1).median()
    )
    affordable = chosen.blocks
    if chosen.budget_s is not None:
        affordable = min(affordable, int(chosen.budget_s / max(block_s, 1e-9)))
    content = {
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
    _save(folder, content)
    results.collect(folder, chosen.pilot, blocks_fixed=content)
    return content


def describe(content: dict[str, Any]) -> str:
    """Return one line about what `fix` returned: the number of blocks, and the reason for it."""
    why = f"the pilot's {content['pilot']} blocks"
    if content["needed"] > content["affordable"]:
        seconds = content["block_seconds"]
        why = f"the limit of {content['affordable']} blocks (of {seconds:.3g} s each)"
    return (
        f"{content['blocks']} blocks, fixed by {why}: an interval of "
        f"±{100 * content['half_width']:.3g}% for {content['metric']} of {content['cell']} "
        f"takes about {content['needed']}"
    )


def _digest(experiment: Experiment, scale: str) -> str:
    """Return the digest of the cells, which does not depend on the random order."""
    ids = "\n".join(cell.id for cell in experiment.cells(scale))
    return hashlib.sha256(ids.encode()).hexdigest()


def _short(path: Path) -> str:
    """Return a path from `results/` on."""
    parts = path.parts
    return "/".join(parts[parts.index("results") :]) if "results" in parts else path.name
