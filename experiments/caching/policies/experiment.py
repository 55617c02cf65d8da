"""What can eviction do for training, and what can it not?"""

import json

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.caching import access_traces, kv_trace, simulation
from experiments.systems import packages

SHARES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
# At the shares COMPARED, policies run on all traces. At ALL_AT the slow policies run too, and the
# usual policies get all requests.
COMPARED, ALL_AT = (0.1, 0.5), 0.5
# At the other shares, only these run, on uniform shuffles.
THEORY = ("belady", "lru", "fifo", "random", "uniform_random")
USUAL = (*THEORY, "clock", "sieve", "s3_fifo", "arc", "w_tinylfu")  # with all requests
SLOW = ("belady_size", "hyperbolic", "cacheus", "three_l_cache")  # 0.4 to 3 µs per request
SLOWEST = ("lrb",)  # it learns, and takes 35 µs per request
LIBCACHESIM = packages.package("libcachesim")

experiment = Experiment(
    title="Eviction policies on the traces of training",
    question="What can eviction do for training, and what can it not?",
    factors=[
        Factor(
            "trace",
            list(access_traces.GENERATORS),
            meaning="which item is read when; see access_traces",
        ),
        Factor("share", SHARES, meaning="c: the cache's size as a share of the items"),
    ],
    metrics=[
        metric
        for policy in simulation.NAMES
        for metric in (
            Metric(
                f"hits_{policy}",
                unit="1",
                better="higher",
                optional=True,
                meaning=f"hit ratio of {policy} after the first epoch, simulated",
            ),
            Metric(
                f"ns_{policy}",
                unit="ns",
                better="lower",
                optional=True,
                meaning=f"time per request of {policy} in the simulator's own loop",
            ),
        )
    ]
    + [
        Metric(
            "min_epochs_off",
            unit="count",
            better="lower",
            optional=True,
            meaning="epochs after the first in which MIN has not exactly C hits",
        ),
        Metric(
            "arc_over_w_tinylfu",
            unit="1",
            better="neither",
            optional=True,
            meaning="hit ratio of ARC over that of W-TinyLFU on the same trace",
        ),
        Metric("peak_mb", unit="MB", better="lower", meaning="the largest simulation's memory"),
    ],
    evidence=[Evidence("simulated", "requests after the warm-up, per policy class")],
    roles=("client",),
    packages=("libcachesim", "numpy"),
    twin=dict(trace="uniform", share=0.5),
    timeout_s=120,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.5,
            disk_mb=10,
            trace=["uniform", "loop"],
            share=[0.5],
            counts=dict(items=2_000, usual=40_000, others=20_000, slow=10_000, slowest=4_000),
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.2,
            disk_mb=10,
            trace=["uniform", "loop", "kv"],
            share=[0.1, 0.5, 0.9],
            counts=dict(items=5_000, usual=250_000, others=100_000, slow=20_000, slowest=10_000),
        ),
        # Each block has traces of its own seed: 10^7 requests per trace over five blocks.
        full=Scale(
            blocks=5,
            trial_seconds=2.5,
            disk_mb=80,
            counts=dict(
                items=20_000, usual=2_000_000, others=400_000, slow=100_000, slowest=40_000
            ),
        ),
    ),
)


@experiment.valid
def valid(cell):
    return cell.trace == "uniform" or cell.share in COMPARED


@experiment.needs
def needs(cell):
    return [LIBCACHESIM, *(["kv_trace"] if cell.trace == "kv" else [])]


@experiment.uses
def tools():
    return {name: packages.version(name) for name in (LIBCACHESIM, "numpy")}


@experiment.trial
def trial(cell, site):
    plan = {
        "trace": cell.trace,
        "share": cell.share,
        "seed": site.seed % 2**32,
        "items": site.counts.items,
        "requests": requests(cell, site.counts),
        "folder": str(site.client.scratch()),
    }
    if cell.trace == "kv":
        plan["path"] = str(site.client.provide(kv_trace.path()))
    program = [site.client.python, "-m", "experiments.caching.simulation", json.dumps(plan)]
    result_of = json.loads(site.client.run(program, timeout=experiment.timeout_s).stdout)
    check(cell, result_of, plan["requests"])
    yield observation(cell, result_of)


def requests(cell, counts):
    """Return {policy: number of requests} for a cell."""
    if cell.share not in COMPARED:
        return dict.fromkeys(THEORY, counts.usual)
    if cell.share != ALL_AT:
        return {
            p: counts.usual if p in THEORY else counts.others
            for p in simulation.NAMES
            if p not in SLOW + SLOWEST
        }
    few = {**dict.fromkeys(SLOW, counts.slow), **dict.fromkeys(SLOWEST, counts.slowest)}
    return {p: counts.usual if p in USUAL else few.get(p, counts.others) for p in simulation.NAMES}


def check(cell, result_of, requests_of):
    """Raise `ValueError` for results that cannot be right.

    That is if a policy is missing, if hits exceed requests, or if a policy beats MIN on the same
    trace.
    """
    if set(result_of) != set(requests_of):
        raise ValueError(f"simulated {sorted(result_of)}, asked for {sorted(requests_of)}")
    best = result_of["belady"]
    for policy, result in result_of.items():
        if not 0 <= result["hits"] <= result["requests"]:
            raise ValueError(
                f"{policy} on {cell.id}: {result['hits']} hits in {result['requests']} requests"
            )
        if (
            result["requests"] == best["requests"]
            and result["hits"] > best["hits"]
            and requests_of[policy] == requests_of["belady"]
        ):
            raise ValueError(
                f"{policy} on {cell.id}: {result['hits']} hits, more than MIN's {best['hits']}"
            )


def observation(cell, result_of):
    """Return one row: hit ratio and cost per policy, and the metrics derived from them."""
    row = {"peak_mb": max(result["peak_mb"] for result in result_of.values())}
    for policy, result in result_of.items():
        row[f"hits_{policy}"], row[f"ns_{policy}"] = (
            result["hits"] / result["requests"],
            result["ns"],
        )
    if epochs := result_of["belady"]["per_epoch"]:
        row["min_epochs_off"] = sum(hits != result_of["belady"]["size"] for hits in epochs[1:])
    if "arc" in result_of and result_of["w_tinylfu"]["hits"]:
        row["arc_over_w_tinylfu"] = row["hits_arc"] / row["hits_w_tinylfu"]
    counts = sorted({result["requests"] for result in result_of.values()}, reverse=True)
    return {**row, "simulated": " / ".join(map(str, counts))}
