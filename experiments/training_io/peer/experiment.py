"""Do this project's loop and DLIO see the same stall on the same files?"""

import json
from contextlib import contextmanager
from dataclasses import asdict

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.systems import dlio, packages, shaped_store
from experiments.training_io import backends
from experiments.training_io.clients import single_numbers
from experiments.training_io.data import dataset, workloads
from experiments.training_io.loops import training_loop
from experiments.training_io.loops.training_loop import Loop
from experiments.training_io.predictors import shapes

READERS = PREFETCH = 4
STEPS = {"retinanet": 24}
SHAPED = ["set-07"]  # where this job waits longer than it computes
TRIAL_S = 540.0  # PyTorch and TensorFlow take a minute to import on a busy machine

experiment = Experiment(
    title="Two harnesses",
    question="Do this project's loop and DLIO see the same stall on the same files?",
    factors=[
        Factor(
            "storage",
            ["ext4", *SHAPED],
            meaning="a real file system, or a shaped store over FUSE",
        ),
        Factor(
            "workload",
            list(STEPS),
            meaning="published parameters, scaled, one sample a file; not an MLPerf result",
        ),
        Factor("harness", ["ours", "dlio"], meaning="threads, or DLIO with PyTorch's DataLoader"),
    ],
    metrics=[
        Metric(
            "slowdown",
            unit="1",
            better="lower",
            meaning="running time over computation, without the first step",
        ),
        Metric("samples_per_s", unit="1/s", better="higher"),
    ],
    packages=backends.PACKAGES,
    twin=dict(storage="ext4", workload="retinanet", harness="ours"),
    timeout_s=600.0,
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=10.0, disk_mb=900, storage=["ext4"]),
        quick=Scale(blocks=5, trial_seconds=10.0, disk_mb=900),
        full=Scale(blocks=8, trial_seconds=10.0, disk_mb=900),
    ),
)


@experiment.needs
def needs(cell):
    own = ["fuse"] if cell.storage in SHAPED else backends.needs(cell.storage)
    return [packages.XXHASH, *own, *(["dlio"] if cell.harness == "dlio" else [])]


@experiment.uses
def tools():
    return {"dlio-benchmark": dlio.version()}


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    for name, steps in STEPS.items():
        ours = workloads.ALL[name].ours
        dataset.make(folder / "data" / name / "train", ours, steps * ours.batch, "npy")
        (folder / "data" / name / "valid").mkdir(exist_ok=True)  # DLIO looks for one


@contextmanager
def opened(cell, host, folder, seed):
    if cell.storage not in SHAPED:
        with backends.open(cell.storage, host, folder) as real:
            yield real
        return
    with shaped_store.Mount(host, folder, shapes.ALL[cell.storage], seed) as mounted:
        path = str(mounted.path)
        yield backends.Opened(dict(kind="file", folder=path), path)


@experiment.trial
def trial(cell, site):
    host, seed = site.client, site.seed % 2**32
    ours, steps = workloads.ALL[cell.workload].ours, STEPS[cell.workload]
    folder = host.provide(site.programs / "data") / cell.workload
    with opened(cell, host, folder, seed) as served:
        if cell.harness == "ours":
            yield by_us(host, served, ours, steps, seed)
        else:
            result = dlio.train(
                host,
                served.folder,
                files=steps * ours.batch,
                batch=ours.batch,
                compute_s=ours.compute_s,
                readers=READERS,
                prefetch=PREFETCH,
                timeout_s=TRIAL_S,
            )
            yield {"slowdown": 1 / result["au"], "samples_per_s": result["samples_per_s"]}


def by_us(host, served, ours, steps, seed):
    """Return what our loop sees; like DLIO, it takes the first step for the start."""
    loop = Loop("npy", ours.batch, ours.compute_s, steps, READERS, PREFETCH, seed)
    plan = dict(store=single_numbers.below(served.store, "train"), loop=asdict(loop))
    argv = [*served.prefix, host.python, "-m", training_loop.__name__, json.dumps(plan)]
    result = json.loads(host.run(argv, timeout=TRIAL_S).stdout)
    stall_s = sum(result["stall_ms"]) / 1e3
    return {
        "slowdown": 1 + stall_s / (len(result["stall_ms"]) * ours.compute_s),
        "samples_per_s": result["samples_per_s"],
    }
