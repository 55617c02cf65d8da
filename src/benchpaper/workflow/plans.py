"""An experiment's plan as plain data and as text, with the reasons to measure blocks again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchpaper.artifact import importing
from benchpaper.core.capabilities import find_capability
from benchpaper.core.duration import duration
from benchpaper.results.import_record import record_of
from benchpaper.workflow import input_files, pilot, times
from benchpaper.workflow.pipeline import Pipeline
from benchpaper.workflow.records import Remeasured

ORIGINS = {
    "here": "as measured here before",
    "reference": "as in the reference",
    "declared": "as declared",
}


def plan(run: Pipeline, name: str, with_trials: bool = False) -> dict[str, Any]:
    """Return an experiment's plan as plain data, `with_trials` in the order of measurement."""
    if run.experiment(name).is_imported:
        record, _ = importing.recorded(run.project, run.site_name, name)
        return {"experiment": name, "imported": record.to_json(), "trials": 0, "seconds": 0.0}
    made = run.plan(name)
    declared = run.experiment(name).scale(made.scale).trial_seconds
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
        "seconds_from": run.times(name).sources(made),
        "seconds_remark": times.remark(made, run.times(name), declared),
        "disk_mb": made.disk_mb,
        "block": run.experiment(name).describe().get("block"),
        "pilot": made.pilot,
        "blocks_fixed": run.blocks_fixed(name),
        "again": asdict(again) if (again := run.again(name)) else None,
        "missing": _missing(run, name),
        "inputs": [input_files.described(state) for state in input_files.states(run, name)],
    }
    if with_trials:
        data["order"] = [
            {"block": t.block, "position": t.position, "cell": t.cell.id, "seed": t.seed}
            for t in made.trials
        ]
    return data


def _missing(run: Pipeline, name: str) -> dict[str, dict[str, Any]]:
    """Return {capability: {cells, detail, remedy}} of what cells need and hosts lack."""
    experiment, answers = run.experiment(name), run.capabilities(name)
    counts = Counter(
        need
        for cell in experiment.cells(run.source)
        for need in experiment.capabilities(cell)
        if need not in answers or not answers[need].present
    )
    return {
        need: {
            "cells": count,
            "detail": answers[need].detail if need in answers else "was not probed",
            "remedy": find_capability(need).remedy,
        }
        for need, count in counts.items()
    }


def describe_again(again: Remeasured) -> str:
    """Return one line that says why blocks are measured again; see `Pipeline.again`."""
    why = "; ".join(again.why)
    if again.levels_added:
        why += (
            f"; cells are compared within a block, so all {again.cells} cells of each block are "
            "measured, not the new ones alone"
        )
    return f"{again.blocks} blocks that were measured before are measured again: {why}"


def _over(item: dict[str, Any]) -> str:
    """Return what the blocks of a plan differ in, in brackets; "" for blocks in time."""
    return f" (over {item['block']['over']})" if item["block"] else ""


def _priced(item: dict[str, Any]) -> str:
    """Return where the seconds of a plan come from."""
    sources: dict[str, int] = item["seconds_from"]
    if not sources:
        return "no cell can run here"
    if len(sources) == 1:
        return ORIGINS[next(iter(sources))]
    return ", ".join(f"{count} cells {ORIGINS[kind]}" for kind, count in sources.items())


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
            f"{item['cells']} cells x {item['blocks']} blocks{_over(item)} = "
            f"{item['trials']} trials, about {duration(item['seconds'])} ({_priced(item)}), "
            f"up to {item['disk_mb']:g} MB of disk; seed {item['seed']}, plan {item['digest'][:12]}"
        )
        if item["blocks_fixed"]:
            print(f"  {pilot.describe(item['blocks_fixed'])}")
        elif item["pilot"]:
            command = f"benchpaper pilot {item['experiment']} --scale {item['scale']}"
            print(f"  these are the pilot; {command} measures it, and fixes how many blocks follow")
        if item["seconds_remark"]:
            print(f"  {item['seconds_remark']}")
        if item["again"]:
            print(f"  {describe_again(Remeasured(**item['again']))}")
        for need, gap in item["missing"].items():
            cells = "1 cell needs" if gap["cells"] == 1 else f"{gap['cells']} cells need"
            print(f"  {cells} {need} ({gap['detail']}): {gap['remedy']}")
        for declared in item["inputs"]:
            if declared["problem"]:
                print(f"  {declared['problem']}")
        for trial in item.get("order", []):
            print(f"  block {trial['block']:3d}  {trial['position']:4d}  {trial['cell']}")
    if len(plans) > 1:
        trials, seconds = (sum(item[key] for item in plans) for key in ("trials", "seconds"))
        print(f"in all {len(plans)} experiments: {trials} trials, about {duration(seconds)}")
