"""On what real data loaders read, what is it worth to know the order?"""

import json

from benchpaper import Block, Evidence, Experiment, Factor, Input, Metric, Scale
from experiments.caching import eviction, recorded_simulation, recorded_traces
from experiments.systems import packages

LIBCACHESIM = packages.package("libcachesim")
POLICIES = (
    recorded_simulation.CLAIRVOYANT,
    *recorded_simulation.BLIND,
    *recorded_simulation.KNOWS_COUNTS,
)


def path_of(loader):
    """Return the name of the input that holds a loader's recording."""
    return f"{recorded_traces.FOLDER}/{loader}.parquet"


experiment = Experiment(
    title="Eviction on recorded loaders",
    question="On what real data loaders read, what is it worth to know the order?",
    factors=[
        Factor("loader", list(recorded_traces.NAMES), meaning="whose reads were recorded"),
        Factor("block_kib", [4, 16], unit="KiB", meaning="what the cache holds: blocks of files"),
        Factor("share", [0.1, 0.5], meaning="c: the cache's size as a share of the blocks read"),
    ],
    metrics=[
        *(
            Metric(
                f"hits_{policy}",
                unit="1",
                better="higher",
                meaning=f"hit ratio of {policy} after the warm-up, simulated",
            )
            for policy in POLICIES
        ),
        Metric(
            "knowledge_points",
            unit="1",
            better="neither",
            minimum=-100,
            meaning="hit ratio of MIN, which knows the order, minus that of the best policy that "
            "does not, in percentage points",
        ),
        Metric(
            "over_never_points",
            unit="1",
            better="neither",
            minimum=-100,
            meaning="hit ratio of MIN minus that of a cache that never replaces",
        ),
        Metric(
            "counts_points",
            unit="1",
            better="neither",
            minimum=-100,
            meaning="hit ratio of keeping what the run reads most often, as NoPFS does, minus that "
            "of a cache that never replaces, as CoorDL's",
        ),
        Metric(
            "read_once_share",
            unit="1",
            better="neither",
            meaning="share of the blocks that are read only once: no cache can hit them",
        ),
    ],
    evidence=[
        Evidence("best_blind", "the best policy that does not know the order"),
        Evidence("simulated", "requests that count, after how many of warm-up"),
    ],
    packages=("libcachesim", "numpy", "pyarrow"),
    inputs=[Input(path_of(name), licence="Apache-2.0") for name in recorded_traces.NAMES],
    twin=dict(loader="megatron", block_kib=4, share=0.1),
    block=Block(over="seed", levels=range(1, 9), meaning="seed of random eviction"),
    timeout_s=60,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.5,
            disk_mb=5,
            loader=["megatron", "webdataset"],
            block_kib=[4],
            share=[0.1],
        ),
        quick=Scale(blocks=5, trial_seconds=1.5, disk_mb=5, block_kib=[4], share=[0.1]),
        full=Scale(trial_seconds=0.8, disk_mb=10),
    ),
)


@experiment.valid
def valid(cell):
    return cell.block_kib == 4 or cell.share == 0.1


@experiment.needs
def needs(cell):
    return [LIBCACHESIM]


@experiment.uses
def tools():
    return {name: packages.version(name) for name in (LIBCACHESIM, "numpy", "pyarrow")}


@experiment.trial
def trial(cell, site):
    plan = {
        "path": str(site.client.provide(site.inputs[path_of(cell.loader)])),
        "block_kib": cell.block_kib,
        "share": cell.share,
        "seed": site.block.seed % 2**32,
        "folder": str(site.client.scratch()),
    }
    program = [site.client.python, "-m", "experiments.caching.recorded_simulation"]
    result = json.loads(site.client.run([*program, json.dumps(plan)]).stdout)
    yield observation(cell, result)


def observation(cell, result):
    """Return one row. Raises `ValueError` if a policy that must admit beats MIN on all requests."""
    of = result["policies"]
    for name, its_own in of.items():
        bypasses = name in (*eviction.BYPASSING, *recorded_simulation.KNOWS_COUNTS)
        if its_own["all_hits"] > of["belady"]["all_hits"] and not bypasses:
            raise ValueError(f"{cell.id}: {name} hits more than MIN, {its_own['all_hits']}")
    ratios = {name: of[name]["hits"] / result["requests"] for name in POLICIES}
    best = max(recorded_simulation.BLIND, key=lambda name: ratios[name])
    return {
        **{f"hits_{name}": ratio for name, ratio in ratios.items()},
        "knowledge_points": 100 * (ratios["belady"] - ratios[best]),
        "over_never_points": 100 * (ratios["belady"] - ratios["never_replace"]),
        "counts_points": 100 * (ratios["most_read"] - ratios["never_replace"]),
        "read_once_share": result["read_once_share"],
        "best_blind": best,
        "simulated": f"{result['requests']} after {result['warm']}",
    }
