"""How long until a loader stands where it stood, and what does shuffling well cost it?"""

import json
from dataclasses import asdict

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.systems import packages
from experiments.training_io import backends
from experiments.training_io.data import samples
from experiments.training_io.loops import resuming, shuffles
from experiments.training_io.loops.shuffles import Layout

SAMPLE_BYTES, BATCH = 4096, 64
LAYOUT = Layout("data", count=4096, size=SAMPLE_BYTES, per_shard=128, buffer=512)
START = LAYOUT.count // 2

experiment = Experiment(
    title="Resuming",
    question="How long until a loader stands where it stood, and what does shuffling well cost it?",
    factors=[
        Factor(
            "backend",
            ["null", "tmpfs", "nfs41", "s3-rclone", "s3-seaweedfs"],
            meaning="4,096 samples of 4 KiB in one file or object; null is memory",
        ),
    ],
    within=[
        Factor(
            "shuffle",
            list(shuffles.SHUFFLES),
            meaning="of all samples; within shards of 128 in random order; or of what flows "
            "through a buffer of 512",
        ),
        Factor(
            "method",
            list(resuming.METHODS),
            meaning="start in the middle of the epoch, or read it from its beginning",
        ),
    ],
    metrics=[
        Metric(
            "resume_ms",
            unit="ms",
            better="lower",
            meaning="from connecting to the batch after the middle of the epoch",
        ),
        Metric("requests", unit="1", better="lower", meaning="until then"),
        Metric("megabytes", unit="MB", better="lower", meaning="read until then"),
        Metric(
            "same_shard_share",
            unit="1",
            better="lower",
            meaning="share of the pairs in a batch of 64 that lie in one shard, over the epoch: "
            "1/32 in a perfect shuffle",
        ),
    ],
    packages=backends.PACKAGES,
    controls=dict(backend=["null"]),
    twin=dict(backend="s3-rclone"),
    timeout_s=120.0,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=3.0,
            disk_mb=150,
            backend=["null", "s3-rclone"],
        ),
        quick=Scale(
            blocks=5, trial_seconds=3.0, disk_mb=150, backend=["null", "tmpfs", "s3-rclone"]
        ),
        full=Scale(
            blocks=8,
            trial_seconds=4.0,
            disk_mb=150,
            backend=["null", "nfs41", "s3-rclone", "s3-seaweedfs"],
        ),
    ),
)


@experiment.needs
def needs(cell):
    return backends.needs(cell.backend)


@experiment.uses
def tools():
    return backends.tools()


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    place = folder / "data" / "samples"
    place.mkdir(parents=True, exist_ok=True)
    with open(place / LAYOUT.name, "wb") as file:
        for number in range(LAYOUT.count):
            file.write(samples.content(number, SAMPLE_BYTES))


@experiment.trial
def trial(cell, site):
    host = site.client
    tries = [[shuffle, method] for shuffle in shuffles.SHUFFLES for method in resuming.METHODS]
    plan = dict(
        layout=asdict(LAYOUT), tries=tries, start=START, batch=BATCH, seed=site.seed % 2**32
    )
    folder = host.provide(site.programs / "data") / "samples"
    with backends.open(cell.backend, host, folder) as opened:
        keep = {"keep": True} if opened.store["kind"] == "file" else {}
        plan["store"] = {**opened.store, **keep}
        argv = [*opened.prefix, host.python, "-m", resuming.__name__, json.dumps(plan)]
        results = json.loads(host.run(argv, timeout=100).stdout)
    for (shuffle, method), result in zip(tries, results, strict=True):
        yield {
            "shuffle": shuffle,
            "method": method,
            "resume_ms": result["resume_ms"],
            "requests": result["requests"],
            "megabytes": result["bytes"] / 1e6,
            "same_shard_share": result["same_shard_share"],
        }
