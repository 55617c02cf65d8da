"""How does the time to the first batch depend on the number of samples and the layout?"""

import json
import shutil
import sys
from contextlib import contextmanager

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.systems import packages
from experiments.systems.environment import file_image
from experiments.training_io import backends
from experiments.training_io.data import many_files
from experiments.training_io.loops import first_batch

BATCH = 32
COUNTS = (1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000)
# For the layout `objects`, the numbers of samples per backend that it can list within the budget.
OBJECTS = {
    "file": (1_000, 3_000, 10_000),
    "ext4": (1_000, 10_000, 100_000, 1_000_000),
    "nfs41": (1_000, 10_000, 100_000),
    "s3-rclone": (1_000, 10_000, 30_000),
    "null": (1_000, 10_000),
}
WARM = ("file", "ext4", "null")  # read everything once beforehand; servers start cold
IN_FOLDERS = 10_000  # larger data sets, and all of ext4's, lie in an image
IMAGE = sorted(
    {
        *OBJECTS["ext4"],
        *(count for counts in OBJECTS.values() for count in counts if count > IN_FOLDERS),
    }
)

experiment = Experiment(
    title="Time to the first batch",
    question="How does the time to the first batch grow with the number of samples, and how does "
    "the layout decide it?",
    factors=[
        Factor(
            "backend",
            list(OBJECTS),
            meaning="file: the host's file system; ext4: one of its own, on a loop device; both "
            "from the page cache; null: memory",
        ),
        Factor(
            "layout",
            list(first_batch.LAYOUTS),
            meaning="one object a sample, a thousand samples a shard, or an index",
        ),
        Factor("samples", COUNTS, unit="1", meaning="samples of 64 B in the data set"),
    ],
    metrics=[
        Metric(
            "listing_ms",
            unit="ms",
            better="lower",
            meaning="until it is known which samples there are",
        ),
        Metric(
            "first_batch_ms",
            unit="ms",
            better="lower",
            meaning="until 32 samples have been read and checked",
        ),
        Metric(
            "requests",
            unit="1",
            better="lower",
            meaning="requests for objects or parts of them; listing not counted",
        ),
        Metric(
            "listed_per_s",
            unit="1/s",
            better="higher",
            meaning="samples found per second of listing",
        ),
    ],
    packages=backends.PACKAGES,
    twin=dict(backend="s3-rclone", layout="objects", samples=1_000),
    timeout_s=900,  # the first trial that needs a million files makes them
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.4,
            disk_mb=300,
            backend=["file", "s3-rclone", "null"],
            samples=[1_000],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.4,
            disk_mb=300,
            backend=["file", "s3-rclone", "null"],
            layout=["objects", "index"],
            samples=[1_000, 10_000],
        ),
        # `trial_seconds` includes making the image: about a minute, once, over all trials.
        full=Scale(blocks=8, trial_seconds=1.0, disk_mb=1000),
    ),
)


@experiment.valid
def valid(cell):
    if cell.layout == "objects":
        return cell.samples in OBJECTS[cell.backend]
    if cell.backend in ("ext4", "nfs41", "null") or cell.samples in (3_000, 30_000):
        return False  # these times do not grow, so fewer points are enough
    return cell.samples < max(COUNTS) or cell.layout == "index"


def in_image(cell):
    return cell.layout == "objects" and (cell.backend == "ext4" or cell.samples > IN_FOLDERS)


@experiment.needs
def needs(cell):
    own = (
        [packages.XXHASH]
        if cell.backend in ("file", "ext4", "null")
        else backends.needs(cell.backend)
    )
    return own + ["loop_devices", "mkfs_ext4"] * in_image(cell)


@experiment.uses
def tools():
    return backends.tools()


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    for layout in first_batch.LAYOUTS:
        for count in COUNTS:
            if layout != "objects" or count <= IN_FOLDERS:
                make(folder / "data" / f"{layout}-{count}", layout, count)


def make(folder, layout, count):
    """Make a data set under a temporary name, then rename it, so that a partial one never shows."""
    if not folder.exists():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        first_batch.make(part, layout, count)
        part.rename(folder)


@contextmanager
def data_set(cell, host, programs):
    """Yield the data set's folder on the host.

    Large data sets lie in an image. The first trial that needs the image makes it, and every trial
    verifies its digest.
    """
    name = f"{cell.layout}-{cell.samples}"
    if not in_image(cell):
        yield host.provide(programs / "data") / name
        return
    image = programs / "image" / "objects.ext4"
    fill = [sys.executable, "-m", many_files.__name__]
    file_image.make(image, sum(IMAGE), lambda folder: [*fill, folder, *IMAGE])
    with file_image.Mounted(host, image) as mounted:
        yield mounted.path / name


@experiment.trial
def trial(cell, site):
    host, local = site.client, cell.backend in ("file", "ext4")  # local: read the folder in place
    with (
        data_set(cell, host, site.programs) as folder,
        backends.in_place(folder) if local else backends.open(cell.backend, host, folder) as opened,
    ):
        plan = dict(
            store=opened.store,
            layout=cell.layout,
            samples=cell.samples,
            batch=BATCH,
            warm=cell.backend in WARM,
        )
        argv = [
            host.python,
            "-m",
            first_batch.__name__,
            json.dumps(plan | dict(seed=site.seed % 2**32)),
        ]
        result = json.loads(host.run(argv, timeout=100).stdout)
    yield {
        "listing_ms": result["listing_ms"],
        "first_batch_ms": result["first_batch_ms"],
        "requests": result["requests"],
        "listed_per_s": cell.samples / result["listing_ms"] * 1e3,
    }
