"""Simulate eviction on a recorded trace: `python -m experiments.caching.recorded_simulation JSON`.

JSON is {"path", "block_kib", "share", "seed", "folder"}. The program prints {policy: result}, as
`simulation` does, and what it saw of the trace.
"""

import json
import sys
from pathlib import Path

import numpy as np

from experiments.caching import eviction, neighbours, recorded_traces, simulation
from experiments.caching.access_traces import Trace

BLIND = (
    "lru", "fifo", "clock", "clock_pro", "sieve", "s3_fifo", "arc", "lirs", "two_q", "slru", "lfu",
    "w_tinylfu", "uniform_random", "never_replace",
)  # fmt: skip
CLAIRVOYANT = "belady"
KNOWS_COUNTS = tuple(neighbours.POLICIES)  # told how often each block is read, and not when


def trace_of(recording, block_bytes):
    """Return the `Trace` of the blocks that a recording reads; the warm-up is its first epoch.

    A recording of one epoch or less warms up for its first half.
    """
    ids = recorded_traces.blocks(recording, block_bytes)
    warm = len(ids) // max(2, recording.description["epochs"])
    return Trace(ids, len(np.unique(ids)), warm)


def simulate(plan):
    """Return {"policies": {name: result}, "requests", "warm", "items", "read_once_share"}."""
    recording = recorded_traces.load(plan["path"])
    trace = trace_of(recording, plan["block_kib"] << 10)
    file = simulation.write(trace, Path(plan["folder"]) / "recorded.oracleGeneral")
    size = max(1, round(plan["share"] * trace.items))
    jobs = [
        (policy, file, size, plan["seed"])
        for policy in (CLAIRVOYANT, *BLIND)
        if eviction.learns_after(policy) <= trace.warm
    ]
    counts = np.unique(trace.ids, return_counts=True)[1]
    counted = {
        policy: {"hits": int(hits[trace.warm :].sum()), "all_hits": int(hits.sum())}
        for policy in KNOWS_COUNTS
        for hits in [neighbours.POLICIES[policy](trace.ids, size)]
    }
    return {
        "policies": {**simulation.simulate_all(jobs), **counted},
        "requests": len(trace.ids) - trace.warm,
        "warm": trace.warm,
        "items": trace.items,
        "read_once_share": float(np.mean(counts == 1)),
    }


if __name__ == "__main__":
    print(json.dumps(simulate(json.loads(sys.argv[1]))))
