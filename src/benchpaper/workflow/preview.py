"""`benchpaper run -n`: the plans and the steps of a run that does not happen."""

import json
import re
import subprocess

from rich.console import Console

from benchpaper.core import environment
from benchpaper.core.project import REFERENCE
from benchpaper.workflow import command_line, damage, plans
from benchpaper.workflow.pipeline import Pipeline


def show(
    pipeline: Pipeline,
    targets: list[str],
    experiments: list[str],
    console: Console,
    as_json: bool,
) -> int:
    """Show the plans and the steps that would run. Return Snakemake's exit status."""
    planned = (
        [plans.plan(pipeline, name) for name in experiments] if pipeline.source != REFERENCE else []
    )
    if not as_json:
        plans.show_plans(planned)
    forced = command_line.forced(pipeline, targets, experiments, damage.find(pipeline, experiments))
    command = command_line.snakemake(
        pipeline, targets, experiments, "--dry-run", "--quiet", "rules", *forced
    )
    done = subprocess.run(
        command,
        cwd=pipeline.project.root,
        env=environment.of_snakemake(),
        capture_output=True,
        text=True,
    )
    text = (done.stdout + done.stderr).strip()
    jobs = re.search(r"^job\s+count.*?(?=\n\n|\Z)", text, re.M | re.S)
    if as_json:
        counts = re.findall(r"^(\w+)\s+(\d+)$", jobs.group(), re.M) if jobs else []
        steps = {name: int(count) for name, count in counts if name != "total"}
        print(json.dumps({"plans": planned, "steps": steps}))
    elif done.returncode:
        console.print(text, highlight=False, markup=False)
    elif jobs:
        console.print("steps that would run:\n" + jobs.group(), highlight=False)
    else:
        console.print("nothing would run: everything is up to date")
    return done.returncode
