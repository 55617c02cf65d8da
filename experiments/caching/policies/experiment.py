"""What can eviction do for training, and what can it not?"""

import json

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.caching import access_traces, eviction, kv_trace
from experiments.systems import packages

SHARES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
# At the shares COMPARED, policies run on all traces; at ALL_AT the slow policies run too. At the
# other shares, only those with a closed form run, on uniform shuffles, with more requests.
COMPARED, ALL_AT = (0.1, 0.5), 0.5
THEORY = ("belady", "lru", "fifo", "random", "uniform_random")
SLOW = ("belady_size", "hyperbolic", "cacheus", "three_l_cache", "lrb")  # 0.4 to 50 µs per request
LRB_ON = ("uniform", "mixture")  # it takes 25 to 50 µs per request, as long as all others together
LONG_WARM_UP = ("lhd",)  # learns after 2^20 requests, all others after at most 170,000
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
        for policy in eviction.NAMES
        for metric in (
            Metric(
                f"hits_{policy}",
                unit="1",
                better="higher",
                optional=True,
                meaning=f"hit ratio of {policy} after the warm-up, simulated",
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
        Metric(
            "least_held",
            unit="1",
            better="neither",
            meaning="objects held over the room for objects, of the policy that holds least",
        ),
        Metric("peak_mb", unit="MB", better="lower", meaning="the largest simulation's memory"),
    ],
    evidence=[
        Evidence("simulated", "requests that count, after the warm-up, for all policies alike"),
        Evidence("warmed_up", "requests of the warm-up, and of policies with another one"),
        Evidence("untrained", "policies left out, since the warm-up is too short to train them"),
    ],
    roles=("client",),
    packages=("libcachesim", "numpy"),
    twin=dict(trace="uniform", share=0.1),
    timeout_s=180,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.5,
            disk_mb=10,
            trace=["uniform", "loop"],
            share=[0.1, 0.5],
            counts=dict(items=2_000, requests=20_000, warm=20_000, long_warm=20_000, theory=40_000),
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.2,
            disk_mb=10,
            trace=["uniform", "loop", "kv"],
            share=[0.1, 0.5, 0.9],
            counts=dict(
                items=5_000, requests=100_000, warm=150_000, long_warm=150_000, theory=250_000
            ),
        ),
        # Each block has traces of its own seed. The long warm-up is what LHD needs to learn.
        full=Scale(
            blocks=8,
            trial_seconds=3.2,
            disk_mb=90,
            counts=dict(
                items=20_000,
                requests=200_000,
                warm=200_000,
                long_warm=1_100_000,
                theory=2_000_000,
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
        "folder": str(site.client.scratch()),
        **amounts(cell, site.counts),
    }
    if cell.trace == "kv":
        plan["path"] = str(site.client.provide(kv_trace.path()))
    program = [site.client.python, "-m", "experiments.caching.simulation", json.dumps(plan)]
    result_of = json.loads(site.client.run(program, timeout=experiment.timeout_s).stdout)
    check(cell, result_of, plan["warm"])
    yield observation(cell, result_of, plan["warm"])


def amounts(cell, counts):
    """Return {"requests": that count, "warm": {policy: requests of its warm-up}} for a cell."""
    if cell.share not in COMPARED:
        return {"requests": counts.theory, "warm": dict.fromkeys(THEORY, counts.items)}
    chosen = [name for name in eviction.NAMES if cell.share == ALL_AT or name not in SLOW]
    if cell.trace not in LRB_ON and "lrb" in chosen:
        chosen.remove("lrb")
    warm = {name: counts.long_warm if name in LONG_WARM_UP else counts.warm for name in chosen}
    return {"requests": counts.requests, "warm": warm}


def check(cell, result_of, warm_of):
    """Raise `ValueError` for results that cannot be right.

    That is if a policy is missing that had enough requests to learn, if hits exceed requests, or if
    a policy that must admit what it misses beats MIN over the whole of the same trace.
    """
    best = result_of["belady"]
    for policy in warm_of:
        # The user's trace ends, so its warm-up may be shorter than what was asked for.
        warm = min(warm_of[policy], best["warm"]) if cell.trace == "kv" else warm_of[policy]
        if eviction.learns_after(policy) <= warm and policy not in result_of:
            raise ValueError(f"{cell.id}: {policy} is missing, simulated {sorted(result_of)}")
    for policy, result in result_of.items():
        if not 0 <= result["hits"] <= result["requests"]:
            raise ValueError(
                f"{policy} on {cell.id}: {result['hits']} hits in {result['requests']} requests"
            )
        same = (result["requests"], result["warm"]) == (best["requests"], best["warm"])
        if same and policy not in eviction.BYPASSING and result["all_hits"] > best["all_hits"]:
            raise ValueError(
                f"{policy} on {cell.id}: {result['all_hits']} hits in all, more than MIN's "
                f"{best['all_hits']}"
            )


def observation(cell, result_of, warm_of):
    """Return one row: hit ratio and cost per policy, and the metrics derived from them."""
    row = {"peak_mb": max(result["peak_mb"] for result in result_of.values())}
    for policy, result in result_of.items():
        row[f"hits_{policy}"], row[f"ns_{policy}"] = (
            result["hits"] / result["requests"],
            result["ns"],
        )
    row["least_held"] = min(
        result["held"] / result["size"]
        for policy, result in result_of.items()
        if result["held"] is not None
    )
    if epochs := result_of["belady"]["per_epoch"]:
        row["min_epochs_off"] = sum(hits != result_of["belady"]["size"] for hits in epochs[1:])
    if "arc" in result_of and result_of["w_tinylfu"]["hits"]:
        row["arc_over_w_tinylfu"] = row["hits_arc"] / row["hits_w_tinylfu"]
    warm = result_of["belady"]["warm"]
    others = [f"{p}: {r['warm']}" for p, r in sorted(result_of.items()) if r["warm"] != warm]
    return {
        **row,
        "simulated": str(result_of["belady"]["requests"]),
        "warmed_up": "; ".join([str(warm), *others]),
        "untrained": ", ".join(sorted(set(warm_of) - set(result_of))) or "none",
    }
