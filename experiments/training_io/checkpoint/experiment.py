"""How long does a checkpoint hold up training, when is it safe, and what does a crash leave?"""

import json

from benchpaper.spec import Experiment, Factor, Metric, Scale
from experiments.systems import rclone
from experiments.training_io import backends
from experiments.workloads import checkpoint

CRASH_KIB = 32

experiment = Experiment(
    title="Checkpoints",
    question="How long does a checkpoint hold up training, when is it safe, and what does a crash leave?",
    factors=[
        Factor(
            "method", list(checkpoint.METHODS), meaning="multipart goes to S3 (rclone), the others to a file system",
        ),
        Factor("size_mib", [16, 64], unit="MiB"),
        Factor("shards", [1, 4]),
    ],
    metrics=[
        Metric("blocking_ms", unit="ms", better="lower", meaning="until training may go on"),
        Metric(
            "durable_ms", unit="ms", better="lower",
            meaning="from the beginning until all is synced; over S3 until the server's last answer, which promises it",
        ),
        Metric(
            "restore_ms", unit="ms", better="lower",
            meaning="until the state was read and checked, its pages dropped before",
        ),
        Metric("blocking_mb_s", unit="MB/s", better="higher", meaning="bytes of the state over the blocking time"),
        Metric(
            "crash_points", unit="1", better="neither", optional=True,
            meaning="operations of a small save before each of which the process was killed",
        ),
        Metric(
            "crash_lost_share", unit="1", better="lower", optional=True,
            meaning="share of these crashes after which neither the old nor the new state could be loaded",
        ),
    ],
    packages=backends.PACKAGES,
    twin=dict(method="rename-fsync", size_mib=16, shards=4),
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=0.5, disk_mb=150, size_mib=[16], shards=[4]),
        quick=Scale(
            blocks=5, trial_seconds=0.5, disk_mb=150, size_mib=[16], shards=[4],
            method=["overwrite-fsync", "rename", "rename-fsync", "multipart"],
        ),
        full=Scale(blocks=8, trial_seconds=0.6, disk_mb=400),
    ),
)  # fmt: skip


@experiment.valid
def valid(cell):
    return cell.size_mib == 16 or cell.shards == 4 and not cell.method.startswith("overwrite")


@experiment.needs
def needs(cell):
    return ["loopback"] if cell.method == "multipart" else []


@experiment.uses
def tools():
    return {"rclone": rclone.version()}


@experiment.trial
def trial(cell, site):
    host, asked = site.client, dict(method=cell.method, mib=cell.size_mib, shards=cell.shards)
    if cell.method == "multipart":
        with rclone.S3(host) as server:
            found = run(host, dict(endpoint=server.endpoint.as_dict()), asked)
    else:
        found = run(host, dict(folder=str(host.scratch())), asked | dict(crash_kib=CRASH_KIB))
    points = found.get("crash_points")
    yield {
        "blocking_ms": found["blocking_ms"], "durable_ms": found["durable_ms"], "restore_ms": found["restore_ms"],
        "blocking_mb_s": cell.size_mib * 2**20 / 1e3 / found["blocking_ms"],
        "crash_points": points, "crash_lost_share": found["crash_lost"] / points if points else None,
    }  # fmt: skip


def run(host, target, asked):
    argv = [host.python, "-m", checkpoint.__name__, json.dumps(asked | dict(target=target))]
    return json.loads(host.run(argv).stdout)
