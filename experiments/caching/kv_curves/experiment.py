"""Does a generator with a few fitted numbers stand in for a trace of KV-cache blocks?"""

import json

from benchpaper import Block, Evidence, Experiment, Factor, Metric, Scale
from experiments.caching import kv_fitted, kv_trace
from experiments.systems import packages

LIBCACHESIM = packages.package("libcachesim")

experiment = Experiment(
    title="A generator of KV-cache requests",
    question="Does a generator with a few fitted numbers stand in for a trace of KV-cache blocks?",
    factors=[
        Factor("source", ["trace", "fitted"], meaning="the user's trace, or our generator"),
        Factor(
            "share",
            list(kv_fitted.SHARES),
            meaning="c: the cache's size as a share of the blocks of the trace",
        ),
    ],
    metrics=[
        *(
            Metric(
                f"hits_{policy}",
                unit="1",
                better="higher",
                meaning=f"hit ratio of {policy} on the second half of the requests, simulated",
            )
            for policy in kv_fitted.POLICIES
        ),
        Metric(
            "arc_over_w_tinylfu",
            unit="1",
            better="neither",
            meaning="hit ratio of ARC over that of W-TinyLFU",
        ),
    ],
    evidence=[Evidence("simulated", "requests that count, after how many of warm-up")],
    packages=("libcachesim", "numpy"),
    twin=dict(source="fitted", share=0.1),
    block=Block(over="seed", levels=range(1, 9), meaning="seed of the generator"),
    timeout_s=60,
    scales=dict(
        smoke=Scale(
            blocks=2, trial_seconds=1.5, disk_mb=10, share=[0.1], counts=dict(prompts=2_000)
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.5,
            disk_mb=10,
            share=[0.1, 0.2],
            counts=dict(prompts=4_000),
        ),
        full=Scale(trial_seconds=1.5, disk_mb=10, counts=dict(prompts=kv_fitted.PROMPTS)),
    ),
)


@experiment.needs
def needs(cell):
    return [LIBCACHESIM, *(["kv_trace"] if cell.source == "trace" else [])]


@experiment.uses
def tools():
    return {name: packages.version(name) for name in (LIBCACHESIM, "numpy")}


@experiment.trial
def trial(cell, site):
    plan = {
        "share": cell.share,
        "prompts": site.counts.prompts,
        "seed": site.block.seed % 2**32,
        "folder": str(site.client.scratch()),
    }
    if cell.source == "trace":
        plan["path"] = str(site.client.provide(kv_trace.path()))
    program = [site.client.python, "-m", "experiments.caching.kv_fitted", json.dumps(plan)]
    yield observation(json.loads(site.client.run(program).stdout))


def observation(result):
    """Return one row. Raises `ValueError` if a policy that must admit beats MIN."""
    hits, requests = result["hits"], result["requests"]
    for policy, count in result["all_hits"].items():
        if count > result["all_hits"]["belady"]:
            raise ValueError(f"{policy} hits {count} times, more often than MIN")
    row = {f"hits_{policy}": count / requests for policy, count in hits.items()}
    return {
        **row,
        "arc_over_w_tinylfu": hits["arc"] / hits["w_tinylfu"],
        "simulated": f"{requests} after {result['warm']}",
    }
