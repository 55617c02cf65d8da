"""An experiment's plan as plain data and as text, with the reasons to measure blocks again."""

from collections.abc import Sequence
from typing import Any

from benchpaper.artifact import importing
from benchpaper.core.duration import duration
from benchpaper.results.import_record import record_of
from benchpaper.workflow import pilot
from benchpaper.workflow.pipeline import Pipeline


def plan(run: Pipeline, name: str, with_trials: bool = False) -> dict[str, Any]:
    """Return an experiment's plan as plain data, `with_trials` in the order of measurement."""
    if run.experiment(name).is_imported:
        record, _ = importing.recorded(run.project, run.site_name, name)
        return {"experiment": name, "imported": record.to_json(), "trials": 0, "seconds": 0.0}
    made = run.plan(name)
    data = {
        "experiment": name,
        "site": run.site_name,
        "scale": made.scale,
        "seed": made.seed,
        "digest": made.digest,
        "cells": len(made.blocks[0]),
        "blocks": len(made.blocks),
        "trials": len(made.trials),
        "seconds": round(made.seconds, 1),
        "disk_mb": made.disk_mb,
        "pilot": made.pilot,
        "blocks_fixed": run.blocks_fixed(name),
        "again": run.again(name),
    }
    if with_trials:
        data["order"] = [
            {"block": t.block, "position": t.position, "cell": t.cell.id, "seed": t.seed}
            for t in made.trials
        ]
    return data


def describe_again(again: dict[str, Any]) -> str:
    """Return one line that says why blocks are measured again; see `Pipeline.again`."""
    why = "; ".join(again["why"])
    return f"{again['blocks']} blocks that were measured before are measured again: {why}"


def show_plans(plans: Sequence[dict[str, Any]]) -> None:
    """Print plans, and their sum if there are several."""
    for item in plans:
        if record := record_of(item):
            print(
                f"{item['experiment']}: nothing is measured; {record.rows} rows are imported from"
            )
            print(f"  {record.origin}")
            continue
        print(
            f"{item['experiment']} at scale {item['scale']} on site {item['site']}: "
            f"{item['cells']} cells x {item['blocks']} blocks = {item['trials']} trials, "
            f"about {duration(item['seconds'])}, up to {item['disk_mb']:g} MB of disk; "
            f"seed {item['seed']}, plan {item['digest'][:12]}"
        )
        if item["blocks_fixed"]:
            print(f"  {pilot.describe(item['blocks_fixed'])}")
        elif item["pilot"]:
            command = f"benchpaper pilot {item['experiment']} --scale {item['scale']}"
            print(f"  these are the pilot; {command} measures it, and fixes how many blocks follow")
        if item["again"]:
            print(f"  {describe_again(item['again'])}")
        for trial in item.get("order", []):
            print(f"  block {trial['block']:3d}  {trial['position']:4d}  {trial['cell']}")
    if len(plans) > 1:
        trials, seconds = (sum(item[key] for item in plans) for key in ("trials", "seconds"))
        print(f"in all {len(plans)} experiments: {trials} trials, about {duration(seconds)}")
