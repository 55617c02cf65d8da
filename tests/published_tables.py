"""An experiment whose results are imported, a published table, and the record of its import."""

import hashlib

from benchpaper.artifact import importing
from benchpaper.core.project import Project
from benchpaper.results.import_record import ImportRecord
from benchpaper.results.import_table import read_table

NAME = "caching/published"
EXPERIMENT = '''"""How often do caches miss?"""

from benchpaper import Experiment, Factor, Metric

experiment = Experiment(
    title="Miss ratios",
    question="How often do caches miss?",
    factors=[Factor("algorithm", ["LRU", "FIFO"]), Factor("size_mb", [1, 64], unit="MB")],
    metrics=[
        Metric("miss_ratio", unit="1", better="lower", minimum=0),
        Metric("latency_us", unit="µs", better="lower", optional=True),
    ],
)
'''
TRACES = ("w1", "w2", "w3", "w4", "w5", "w6")


def rows(traces=TRACES):
    """Return the lines of a table: FIFO misses more often, on each trace by about a tenth."""
    lines = ["trace,algorithm,size_mb,mr"]
    for number, trace in enumerate(traces):
        for size, base in ((1, 0.4), (64, 0.1)):
            lru = base * (1 + number / 10)
            lines += [f"{trace},LRU,{size},{lru:.4f}", f"{trace},FIFO,{size},{lru * 1.1:.4f}"]
    return lines


def csv(lines=None):
    return ("\n".join(lines or rows()) + "\n").encode()


def record(data=b"", **changes):
    """Return the record of the import of `data`; the default is the table above."""
    data = data or csv()
    same = dict(
        experiment=NAME,
        table="table.csv",
        sha256=hashlib.sha256(data).hexdigest(),
        rows=len(read_table("table.csv", data).rows),
        source="https://example.org/caches/results/table.csv",
        licence="CC-BY-4.0",
        machine={"cpu": "Xeon 6130"},
        columns={"algorithm": "algorithm", "size_mb": "size_mb", "miss_ratio": "mr"},
        block="trace",
        imported_on="2026-11-29",
    )
    return ImportRecord(**{**same, **changes})


def files(experiment=EXPERIMENT):
    """Return {path: text} of a project with the experiment."""
    return {f"experiments/{NAME}/experiment.py": experiment}


def imported(project: Project, data=b"", **changes):
    """Import the table into a project, and return the paths that were written."""
    data = data or csv()
    return importing.save(project, "local", record(data, **changes), data)
