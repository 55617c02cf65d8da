"""Code of the toy projects, and helpers that read what their runs left."""

import json
import signal

from benchpaper import results

HEAD = """
import os, signal, socket, subprocess, sys, time
from pathlib import Path
from benchpaper.design.spec import Evidence, Experiment, Factor, Metric, Scale

PROJECT = Path(__file__).parents[3]

experiment = Experiment(
    title="Toy", question="What does a toy cost?",
    factors=[Factor("way", {levels!r})],
    metrics=[Metric("latency_us", unit="µs", better="lower")],
    scales={{s: Scale(blocks={blocks}, trial_seconds=0.05) for s in ("smoke", "quick", "full")}},
    roles=("server", "client"), attempts={attempts}, timeout_s={timeout_s},
)

{more}

@experiment.trial
def trial(cell, site):
    with open(PROJECT / "begun", "a") as file:
        file.write(f"{{site.seed}}\\n")
"""


def hear_interrupts():
    """In a child: a shell has what it runs in the background ignore them, this suite too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def journalled(project):
    """{(block, cell): entry} of all whole lines of all journals."""
    entry_of = {}
    for path in sorted(project.root.glob("results/*/*/*/*/journal/*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                entry = json.loads(line)
                assert (entry["block"], entry["cell"]) not in entry_of, "a trial was measured twice"
                entry_of[entry["block"], entry["cell"]] = entry
    return entry_of


def begun(project):
    path = project.root / "begun"
    return path.read_text().split() if path.exists() else []


def trial_table(project, scale="quick"):
    table, _ = results.read(project.results("local", scale) / "toy/one" / results.TRIALS)
    return table.to_pylist(maps_as_pydicts="strict")


# While there is a file `hold`, a trial waits that begins after as many others as it says.
BRIEF = """
    site.client.start(["sleep", "60"])
    time.sleep(0.04)
    hold = PROJECT / "hold"
    if hold.exists() and len((PROJECT / "begun").read_text().split()) > int(hold.read_text()):
        while hold.exists():
            time.sleep(0.01)
    yield dict(latency_us=1.0)
"""


LEVELS = [f"w{number}" for number in range(12)]


def refused_in_one_line(done, message):
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("benchpaper: "), done.stderr
    assert message in done.stderr and done.stdout == "", done.stderr


NOTEBOOK = """
from benchpaper.analysis.estimates import load
from benchpaper.analysis.exhibits import Exhibits
results = load("toy/one", results_dir)
exhibits = Exhibits(results, exhibits_dir)
"""


def notebook(code, first=NOTEBOOK):
    import nbformat.v4 as nb

    parameters = nb.new_code_cell('results_dir, exhibits_dir = "artifacts/reference/local", None')
    parameters.metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    cells = [parameters, *(nb.new_code_cell(text) for text in (first, code))]
    return json.dumps(nb.new_notebook(cells=cells, metadata=kernel))


SAVING = """
for way in ("a", "b"):
    exhibits.number(f"latency-{way}", results.estimate("latency_us", way=way))
"""
