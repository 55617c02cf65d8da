"""How does the time to the first batch grow with the number of samples, and how does the layout decide it?"""

import json
import shutil

from benchpaper.spec import Experiment, Factor, Metric, Scale
from experiments.training_io import backends
from experiments.workloads import first_batch

BATCH = 32
COUNTS = (1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000)

experiment = Experiment(
    title="Time to the first batch",
    question="How does the time to the first batch grow with the number of samples, and how does the layout decide it?",
    factors=[
        Factor("backend", ["file", "nfs41", "s3-rclone"], meaning="file: the host's file system, in the page cache"),
        Factor(
            "layout", list(first_batch.LAYOUTS), meaning="one object a sample, a thousand samples a shard, or an index",
        ),
        Factor("samples", COUNTS, unit="1", meaning="samples of 64 B in the data set"),
    ],
    metrics=[
        Metric("listing_ms", unit="ms", better="lower", meaning="until it is known which samples there are"),
        Metric("first_batch_ms", unit="ms", better="lower", meaning="until 32 samples have been read and checked"),
        Metric(
            "requests", unit="1", better="lower", meaning="requests for objects or parts of them; listing not counted",
        ),
        Metric("listed_per_s", unit="1/s", better="higher", meaning="samples found per second of listing"),
    ],
    packages=backends.PACKAGES,
    twin=dict(backend="s3-rclone", layout="objects", samples=1_000),
    timeout_s=120,
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=0.4, disk_mb=900, backend=["file", "s3-rclone"], samples=[1_000]),
        quick=Scale(
            blocks=5, trial_seconds=0.4, disk_mb=900, backend=["file", "s3-rclone"], layout=["objects", "index"],
            samples=[1_000, 10_000],
        ),
        full=Scale(blocks=8, trial_seconds=0.35, disk_mb=900),
    ),
)  # fmt: skip

# One object a sample: as far as making the objects, and asking this server for all of them, stays within the budget.
MOST_OBJECTS = {"file": 100_000, "nfs41": 10_000, "s3-rclone": 10_000}


@experiment.valid
def valid(cell):
    if cell.layout == "objects":
        return cell.samples <= MOST_OBJECTS[cell.backend]
    if cell.backend == "nfs41" or cell.samples in (3_000, 30_000):
        return False  # what does not grow needs no more points
    return cell.samples < max(COUNTS) or cell.layout == "index"


@experiment.needs
def needs(cell):
    return [] if cell.backend == "file" else backends.needs(cell.backend)


@experiment.uses
def tools():
    return backends.tools()


@experiment.build(needs=[])
def build(folder):
    for layout in first_batch.LAYOUTS:
        for count in COUNTS:
            if layout != "objects" or count <= max(MOST_OBJECTS.values()):
                make(folder / "data" / f"{layout}-{count}", layout, count)


def make(folder, layout, count):
    """Make a data set beside its place and rename it: what is there under its name is whole."""
    if not folder.exists():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        first_batch.make(part, layout, count)
        part.rename(folder)


@experiment.trial
def trial(cell, site):
    host = site.client
    folder = host.provide(site.programs / "data") / f"{cell.layout}-{cell.samples}"
    with backends.in_place(folder) if cell.backend == "file" else backends.open(cell.backend, host, folder) as opened:
        asked = dict(store=opened.store, layout=cell.layout, samples=cell.samples, batch=BATCH, seed=site.seed % 2**32)
        argv = [host.python, "-m", first_batch.__name__, json.dumps(asked)]
        found = json.loads(host.run(argv, timeout=100).stdout)
    yield {
        "listing_ms": found["listing_ms"], "first_batch_ms": found["first_batch_ms"],
        "requests": found["requests"], "listed_per_s": cell.samples / found["listing_ms"] * 1e3,
    }  # fmt: skip
