"""How does the time to the first batch depend on the number of samples and the layout?"""

import json
import shutil
import sys
from contextlib import contextmanager
from dataclasses import replace

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.systems import packages, seaweedfs_names
from experiments.systems.environment import file_image
from experiments.training_io import backends
from experiments.training_io.data import many_files
from experiments.training_io.loops import first_batch

BATCH = 32
COUNTS = (1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000, 10_000_000)
# Names on ext4 and xfs, most of them links: two decades to fit a model to, and a third to test it.
NAMES = (10_000, 100_000, 1_000_000, 10_000_000)
DISTINCT = 1000
LINKED = ("ext4", "xfs")
SEAWEEDFS = "s3-seaweedfs"  # with a bucket that is made once, for the same reason
# For the layout `objects`, the numbers of samples per backend that it can list within the budget.
OBJECTS = {
    "file": (1_000, 3_000, 10_000),
    "ext4": NAMES,
    "xfs": NAMES[:-1],
    "nfs41": (1_000, 10_000, 100_000),
    "s3-rclone": (1_000, 10_000, 30_000),
    "s3-seaweedfs": (1_000, 10_000, 100_000, 1_000_000),
    "null": (1_000, 10_000),
}
WARM = ("file", *LINKED, "null")  # read everything once beforehand; servers start cold
IN_FOLDERS = 10_000  # larger data sets, and all of ext4's and xfs's, lie in an image
IMAGE = sorted(
    {
        count
        for backend, counts in OBJECTS.items()
        for count in counts
        if backend not in (*LINKED, SEAWEEDFS) and count > IN_FOLDERS
    }
)
MOST_INDEXED = 1_000_000  # samples with an index
MAKE_S = 3600  # at most, on a busy machine; three minutes for ten million names on an idle one

experiment = Experiment(
    title="Time to the first batch",
    question="How does the time to the first batch grow with the number of samples, and how does "
    "the layout decide it?",
    factors=[
        Factor(
            "backend",
            list(OBJECTS),
            meaning="file: the host's file system; ext4, xfs: their own, on a loop device, with "
            "1,000 files under all these names (hard links); all from the page cache; s3-seaweedfs "
            "has 1,000 objects under all these; null: memory",
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
    timeout_s=MAKE_S + 300,  # the first trial that needs an image makes it
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
        # `trial_seconds` includes making the images: about five minutes, once, over all trials.
        full=Scale(blocks=8, trial_seconds=3.0, disk_mb=2500),
    ),
)


@experiment.valid
def valid(cell):
    if cell.layout == "objects":
        return cell.samples in OBJECTS[cell.backend]
    if cell.backend in (*LINKED, SEAWEEDFS, "nfs41", "null") or cell.samples in (3_000, 30_000):
        return False  # these times do not grow, so fewer points are enough
    most = MOST_INDEXED if cell.layout == "index" else MOST_INDEXED // 10
    return cell.samples <= most


def in_image(cell):
    return (
        cell.layout == "objects"
        and cell.backend != SEAWEEDFS
        and (cell.backend in LINKED or cell.samples > IN_FOLDERS)
    )


@experiment.needs
def needs(cell):
    own = [packages.XXHASH] if cell.backend in WARM else backends.needs(cell.backend)
    kind = cell.backend if cell.backend in LINKED else "ext4"
    return own + ["loop_devices", f"mkfs_{kind}"] * in_image(cell)


@experiment.uses
def tools():
    return backends.tools()


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    for layout in first_batch.LAYOUTS:
        for count in COUNTS:
            if count <= (IN_FOLDERS if layout == "objects" else MOST_INDEXED):
                make(folder / "data" / f"{layout}-{count}", layout, count)


def make(folder, layout, count):
    """Make a data set under a temporary name, then rename it, so that a partial one never shows."""
    if not folder.exists():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        first_batch.make(part, layout, count)
        part.rename(folder)


def image_of(backend, folder):
    """Return the image that holds a backend's data sets; make it, unless it is there and whole."""
    fill = [sys.executable, "-m", many_files.__name__]
    if backend not in LINKED:
        image, files = folder / "objects.ext4", sum(IMAGE)
        file_image.make(image, files, lambda folder: [*fill, folder, max(IMAGE), *IMAGE], MAKE_S)
        return image
    counts = OBJECTS[backend]
    image, files = folder / f"names.{backend}", DISTINCT * len(counts)
    file_image.make(
        image,
        files,
        lambda folder: [*fill, folder, DISTINCT, *counts],
        MAKE_S,
        names=sum(counts),
        kind=backend,
    )
    return image


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
    image = image_of(cell.backend, programs / "image")
    with file_image.Mounted(host, image) as mounted:
        yield mounted.path / name


@contextmanager
def opened_for(cell, host, programs):
    """Yield what `backends.open` does, over the cell's data set."""
    if cell.backend == SEAWEEDFS:
        with backends.s3_seaweedfs_names(host, bucket_of(host, programs)) as opened:
            prefix = f"{cell.layout}-{cell.samples}/"
            yield replace(opened, store={**opened.store, "prefix": prefix})
        return
    with data_set(cell, host, programs) as folder:
        in_place = cell.backend in ("file", *LINKED)
        with (
            backends.in_place(folder) if in_place else backends.open(cell.backend, host, folder)
        ) as opened:
            yield opened


def bucket_of(host, programs):
    """Return the folder of SeaweedFS's bucket, made unless it exists."""
    counts = {f"objects-{count}": count for count in OBJECTS[SEAWEEDFS]}

    def put(endpoint):
        folder = host.scratch()
        for name in counts:
            many_files.make(folder / name, DISTINCT)
        backends.put_folder(host, folder, endpoint)

    return seaweedfs_names.make(programs / "image" / "seaweedfs", host, counts, put, MAKE_S)


@experiment.trial
def trial(cell, site):
    host = site.client
    with opened_for(cell, host, site.programs) as opened:
        plan = dict(
            store=opened.store,
            layout=cell.layout,
            samples=cell.samples,
            batch=BATCH,
            warm="names" if cell.samples > 1_000_000 else cell.backend in WARM,
            distinct=DISTINCT if cell.backend in (*LINKED, SEAWEEDFS) else None,
        )
        argv = [
            host.python,
            "-m",
            first_batch.__name__,
            json.dumps(plan | dict(seed=site.seed % 2**32)),
        ]
        result = json.loads(host.run(argv, timeout=280).stdout)
    yield {
        "listing_ms": result["listing_ms"],
        "first_batch_ms": result["first_batch_ms"],
        "requests": result["requests"],
        "listed_per_s": cell.samples / result["listing_ms"] * 1e3,
    }
