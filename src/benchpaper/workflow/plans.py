"""What would be measured, and why again: an experiment's plan as plain data, and as text to read."""

from benchpaper.core.duration import duration
from benchpaper.workflow import pilot


def plan(run, name, with_trials=False):
    """Return an experiment's plan as plain data; with every trial in its order when asked."""
    made = run.plan(name)
    about = {
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
        about["order"] = [
            {"block": t.block, "position": t.position, "cell": t.cell.id, "seed": t.seed}
            for t in made.trials
        ]
    return about


def told_again(again):
    """Return why blocks are measured again, as one line."""
    return f"{again['blocks']} blocks that were measured before are measured again: {'; '.join(again['why'])}"


def show_plans(found):
    for item in found:
        print(
            f"{item['experiment']} at scale {item['scale']} on site {item['site']}: {item['cells']} cells x "
            f"{item['blocks']} blocks = {item['trials']} trials, about {duration(item['seconds'])}, up to "
            f"{item['disk_mb']:g} MB of disk; seed {item['seed']}, plan {item['digest'][:12]}"
        )
        if item["blocks_fixed"]:
            print(f"  {pilot.told(item['blocks_fixed'])}")
        elif item["pilot"]:
            command = f"benchpaper pilot {item['experiment']} --scale {item['scale']}"
            print(f"  these are the pilot; {command} measures it, and fixes how many blocks follow")
        if item["again"]:
            print(f"  {told_again(item['again'])}")
        for trial in item.get("order", []):
            print(f"  block {trial['block']:3d}  {trial['position']:4d}  {trial['cell']}")
    if len(found) > 1:
        trials, seconds = (sum(item[key] for item in found) for key in ("trials", "seconds"))
        print(f"in all {len(found)} experiments: {trials} trials, about {duration(seconds)}")
