"""Which strategy of fetching ahead suits which origin, and when does it do harm? Simulated."""

import json
from typing import Any

from benchpaper import Block, Evidence, Experiment, Factor, Metric, Scale

# The host runs the simulation. Importing it includes it in the experiment's digest.
from experiments.caching import prefetch_model, prefetch_simulation, prefetch_strategies

COMPUTE_S, MB, MIB = 0.02, 1e6, 1 << 20
# What limits the loop. At load 1 it asks for 26 MB/s: 8 samples of 64 KiB in 20 ms.
REGIMES: dict[str, dict[str, Any]] = {
    "latency": dict(latency_s=0.02, link_bytes_s=125 * MB),
    "jitter": dict(latency_s=0.02, link_bytes_s=125 * MB, sigma=1.5),
    "bandwidth": dict(latency_s=0.004, link_bytes_s=12.5 * MB),
    "cache": dict(latency_s=0.004, link_bytes_s=12.5 * MB, memory=0.25),
    "two_tiers": dict(latency_s=0.02, link_bytes_s=20 * MB, sigma=0.5, memory=0.1, disk=0.4),
    "checkpoint": dict(
        latency_s=0.02, link_bytes_s=20 * MB, checkpoint_every=200, checkpoint_bytes=64 * MIB
    ),
}

experiment = Experiment(
    title="Strategies of fetching ahead",
    question="Which strategy of fetching ahead suits which origin, and when does it do harm?",
    factors=[
        Factor("regime", list(REGIMES), meaning="what limits the loop"),
        Factor(
            "strategy",
            list(prefetch_strategies.STRATEGIES),
            meaning="how many samples are fetched ahead; see prefetch_strategies",
        ),
        Factor("load", [0.5, 1.0, 2.0], meaning="demand of the loop, over 26 MB/s"),
    ],
    metrics=[
        Metric(
            "utilisation",
            unit="1",
            better="higher",
            meaning="computing over all time after the warm-up, simulated",
        ),
        Metric(
            "predicted",
            unit="1",
            better="neither",
            optional=True,
            meaning="the same by the model; it knows of no checkpoints and no wasted bytes",
        ),
        Metric(
            "off_points",
            unit="1",
            better="lower",
            optional=True,
            meaning="how far predicted and simulated lie apart, in percentage points",
        ),
        Metric("window", unit="count", better="neither", meaning="samples ahead, mean over steps"),
        Metric(
            "hit_ratio",
            unit="1",
            better="higher",
            meaning="samples taken that did not come from the origin",
        ),
        Metric(
            "fetches_per_sample",
            unit="1",
            better="lower",
            meaning="requests that the origin bills, per sample taken",
        ),
        Metric(
            "bytes_per_sample",
            unit="1",
            better="lower",
            meaning="bytes from the origin per byte taken",
        ),
        Metric(
            "stall_ms_p99", unit="ms", better="lower", meaning="99th percentile of a step's wait"
        ),
        Metric(
            "checkpoint_s",
            unit="s",
            better="lower",
            optional=True,
            meaning="median time to write a checkpoint over the same link",
        ),
    ],
    evidence=[Evidence("simulated", "steps that count, after how many of warm-up")],
    packages=("numpy",),
    twin=dict(regime="jitter", strategy="batch", load=1.0),
    block=Block(over="seed", levels=range(1, 9), meaning="seed of shuffles and latencies"),
    timeout_s=60,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.5,
            disk_mb=1,
            strategy=["batch", "fixed_512", "by_rule"],
            regime=["jitter", "cache"],
            load=[1.0],
            counts=dict(steps=500, warm_steps=100),
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.5,
            disk_mb=1,
            strategy=["batch", "fixed_64", "autotune", "by_rule"],
            regime=["jitter", "bandwidth", "cache"],
            load=[1.0],
            counts=dict(steps=2_000, warm_steps=500),
        ),
        full=Scale(trial_seconds=1.2, disk_mb=1, counts=dict(steps=12_000, warm_steps=2_000)),
    ),
)


def setting(cell):
    """Return the simulated loop of a cell."""
    return prefetch_simulation.Setting(compute_s=COMPUTE_S / cell.load, **REGIMES[cell.regime])


@experiment.trial
def trial(cell, site):
    counts = site.counts
    plan = {
        "setting": {"compute_s": COMPUTE_S / cell.load, **REGIMES[cell.regime]},
        "strategy": cell.strategy,
        "steps": counts.steps,
        "warm_steps": counts.warm_steps,
        "seed": site.block.seed % 2**32,
    }
    program = [site.client.python, "-m", "experiments.caching.prefetch_simulation"]
    result = json.loads(site.client.run([*program, json.dumps(plan)]).stdout)
    yield observation(cell, result, counts)


def observation(cell, result, counts):
    """Return one row. Raises `ValueError` if the link sent more than it can."""
    loop = setting(cell)
    demand = loop.batch * loop.sample_bytes / loop.compute_s
    sent = result["utilisation"] * demand * result["bytes_per_sample"]
    if sent > 1.02 * loop.link_bytes_s:
        raise ValueError(f"{cell.id}: {sent / MB:.1f} MB/s over a link of {loop.link_bytes_s / MB}")
    row = {name: value for name, value in result.items() if value is not None}
    if cell.regime != "checkpoint" and cell.strategy != "readahead":
        missing = 1 - result["hit_ratio"]
        row["predicted"] = prefetch_model.utilisation(loop, result["window"], missing)
        row["off_points"] = 100 * abs(row["predicted"] - result["utilisation"])
    measured = counts.steps - counts.warm_steps
    return {**row, "simulated": f"{measured} after {counts.warm_steps}"}
