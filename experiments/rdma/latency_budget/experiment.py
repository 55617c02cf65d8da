"""Below which latency of a GET does a training loop gain nothing?"""

import json
from dataclasses import asdict, replace

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma.latency_budget import demand, simulation
from experiments.systems import packages
from experiments.training_io import backends
from experiments.training_io.data import dataset, samples
from experiments.training_io.loops import training_loop
from experiments.training_io.loops.training_loop import Loop

DATA_SET_BYTES, MOST_FILES = 30e6, 1000
UNLIMITED = 1e12  # B/s: a latency here is that of the whole GET
LEAST_GET_S = 1e-4  # about what Python needs for one, whatever the store
OWN = 0.0  # the level of a latency that is not set: the system's own
REAL = ("null", "known", "tmpfs", "s3-rclone")  # backends of real loops
SET_US = (0.5, 500.0, 5_000.0)  # latencies that a real loop waits for
# The real loops: as many GETs a step as let a thousand-step second hold some tens of steps.
BATCHES = {"resnet50": 4, "cosmoflow": 1, "tokens": 1}

experiment = Experiment(
    title="The latency that a training loop hides",
    question="Below which latency of a GET does a training loop gain nothing?",
    factors=[
        Factor(
            "workload",
            list(demand.ALL),
            meaning="published parameters of a step; tokens reads 4 KiB at random places, kv-cache "
            "fetches keys and values at inference",
        ),
        Factor(
            "way",
            ["simulated", "budget", *REAL],
            meaning="simulated with the set latency; the largest latency at which nothing is lost, "
            "by simulation; or a real loop over a system, known is the one whose latency is set",
        ),
        Factor(
            "latency_us",
            [OWN, 0.5, 5.0, 50.0, 500.0, 5_000.0, 50_000.0],
            unit="µs",
            meaning="mean of a whole GET; 0: the system's own, or what is looked for",
        ),
        Factor("depth", [1, 4, 16], meaning="GETs in flight"),
    ],
    metrics=[
        Metric(
            "stall_share",
            unit="1",
            better="lower",
            optional=True,
            meaning="share of the running time in which the loop waits",
        ),
        Metric(
            "step_ms",
            unit="ms",
            better="lower",
            optional=True,
            meaning="running time of a real loop for one step",
        ),
        Metric(
            "service_ms",
            unit="ms",
            better="lower",
            optional=True,
            meaning="time of a GET with its checks, one after the other, in that loop's program",
        ),
        Metric(
            "predicted_share",
            unit="1",
            better="lower",
            optional=True,
            meaning="stall_share by simulation with service_ms and the measured computation",
        ),
        Metric(
            "off_by",
            unit="1",
            better="lower",
            optional=True,
            meaning="how far stall_share and predicted_share lie apart",
        ),
        Metric(
            "budget_us",
            unit="µs",
            better="higher",
            optional=True,
            meaning="largest mean latency at which less than 1 % of the time is lost",
        ),
    ],
    evidence=[Evidence("latencies", "how the latencies of GETs were distributed")],
    packages=backends.PACKAGES,
    controls=dict(way=["null", "known"]),
    null=dict(way="null"),
    twin=dict(workload="resnet50", way="s3-rclone", latency_us=OWN, depth=1),
    timeout_s=90,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.9,
            disk_mb=70,
            counts=dict(milliseconds=120),
            workload=["resnet50", "kv-cache"],
            latency_us=[OWN, 0.5, 5_000.0],
            depth=[1, 4],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.6,
            disk_mb=70,
            counts=dict(milliseconds=200),
            workload=["resnet50", "tokens", "kv-cache"],
            latency_us=[OWN, 0.5, 50.0, 5_000.0],
            depth=[1, 4],
            way=["simulated", "budget", "null", "known", "s3-rclone"],
        ),
        full=Scale(blocks=10, trial_seconds=0.5, disk_mb=70, counts=dict(milliseconds=600)),
    ),
)


@experiment.valid
def valid(cell):
    if cell.way == "simulated":
        return cell.latency_us != OWN
    if cell.way == "budget":
        return cell.latency_us == OWN
    # Python's threads cannot run the other loops: their steps are too short, or too large.
    if cell.workload not in BATCHES or cell.depth > 4:
        return False
    if cell.latency_us not in (SET_US if cell.way == "known" else (OWN,)):
        return False
    return cell.workload == "resnet50" or cell.depth == 4


@experiment.needs
def needs(cell):
    return backends.needs(cell.way) if cell.way in REAL else []


@experiment.uses
def tools():
    return backends.tools()


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    for name in BATCHES:
        size = demand.ALL[name].get_bytes
        workload = samples.Workload(name, size, 0, 1, 0.0, 0.0)
        count = min(MOST_FILES, int(DATA_SET_BYTES / size))
        dataset.make(folder / "data" / name, workload, count, "npy")


@experiment.trial
def trial(cell, site):
    demanded, seed = demand.ALL[cell.workload], site.seed % 2**32
    if cell.way == "budget":
        budget = simulation.budget_s(demanded, cell.depth, seed)
        yield {"budget_us": 1e6 * budget, "latencies": "half constant, half exponential"}
    elif cell.way == "simulated":
        drawn = simulation.drawn(cell.latency_us / 1e6, seed)
        steps = simulation.steps_of(demanded)
        share = simulation.stall_share(demanded, drawn, cell.depth, steps)
        yield {"stall_share": share, "latencies": "half constant, half exponential"}
    else:
        yield measured(cell, site)


def measured(cell, site):
    """Run a real loop, and its GETs alone; return both next to the simulation."""
    demanded = replace(demand.ALL[cell.workload], batch=BATCHES[cell.workload])
    folder = site.client.provide(site.programs / "data") / cell.workload
    step_s, seconds = demanded.batch * demanded.compute_s, site.counts.milliseconds / 1e3
    least_s = max(cell.latency_us / 1e6, LEAST_GET_S)
    supply_s = demanded.batch * least_s / cell.depth
    steps = 4 * simulation.AHEAD + int(seconds / max(step_s, supply_s))
    loop = Loop("npy", demanded.batch, step_s, steps, cell.depth, seed=site.seed % 2**32)
    # Nothing is computed, and one reader GETs: that is the time of single GETs.
    single = replace(loop, batch=1, compute_s=0.0, readers=1, steps=10 + int(seconds / 2 / least_s))
    with backends.open(cell.way, site.client, folder) as opened:
        store = opened.store
        if cell.way == "known":
            store = dict(store, latency_s=cell.latency_us / 1e6, bandwidth=UNLIMITED)
        alone = run(site.client, store, single)
        whole = run(site.client, store, loop)
    assert whole["payload_used"] == steps * demanded.batch * demanded.get_bytes, "bytes are missing"
    return observation(cell, demanded, steps, alone, whole)


def observation(cell, demanded, steps, alone, whole):
    reading_s = alone["elapsed_s"] + (alone["first_batch_ms"] - alone["opened_ms"]) / 1e3
    service_s = reading_s / alone["requests"]
    # A sleep lasts longer on a busy host, and that is no stall.
    computed_s = whole["au_measured"] * whole["elapsed_s"] / steps / demanded.batch
    share = sum(whole["stall_ms"]) / 1e3 / whole["elapsed_s"]
    predicted = simulation.stall_share(
        replace(demanded, compute_s=computed_s), simulation.constant(service_s), cell.depth, steps
    )
    return {
        "stall_share": share,
        "step_ms": 1e3 * whole["elapsed_s"] / steps,
        "service_ms": 1e3 * service_s,
        "predicted_share": predicted,
        "off_by": abs(share - predicted),
        "latencies": "set, and constant" if cell.way == "known" else "the system's own",
    }


def run(host, store, loop):
    """Run a training loop on a host and return what it measured."""
    plan = json.dumps(dict(store=store, loop=asdict(loop)))
    done = host.run([host.python, "-m", training_loop.__name__, plan], timeout=80)
    return json.loads(done.stdout)
