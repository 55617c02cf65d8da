"""How many requests does each eviction policy miss on a Zipf trace?"""

import json
from pathlib import Path

from benchpaper import Block, Evidence, Experiment, Factor, Metric, Scale

OBJECTS = 1000
SIZES = [1, 5, 10, 20, 50, 100, 200, 400]  # those of the published figure

experiment = Experiment(
    title="Miss ratio",
    question="How many requests does each eviction policy miss on a Zipf trace?",
    factors=[
        Factor("policy", ["fifo", "lru", "clock", "sieve"]),
        Factor("cache_objects", SIZES, meaning=f"of {OBJECTS} objects of one size"),
    ],
    metrics=[Metric("miss_ratio", unit="1", better="lower", meaning="misses of all requests")],
    evidence=[Evidence("simulated", "requests that the simulator says it has served")],
    block=Block(over="seed", levels=range(1, 11), meaning="the seed of the trace"),
    twin=dict(policy="lru", cache_objects=100),
    scales={
        "smoke": Scale(
            blocks=2, trial_seconds=0.2, counts=dict(requests=10_000), cache_objects=[10, 100]
        ),
        "quick": Scale(blocks=5, trial_seconds=0.5, counts=dict(requests=200_000)),
        "full": Scale(blocks=10, trial_seconds=2, counts=dict(requests=1_000_000)),
    },
)


@experiment.trial
def trial(cell, site):
    """Simulate one cache. The policies of a block see the same trace, so they compare in pairs."""
    program = site.client.provide(Path(__file__).with_name("simulate.py"))
    wanted = site.counts.requests
    words = [cell.policy, cell.cache_objects, OBJECTS, wanted, site.block.seed]
    output = json.loads(site.client.run([site.client.python, program, *words]).stdout)
    if output["requests"] != wanted:
        raise ValueError(f"{output['requests']} requests were simulated, not {wanted}")
    yield dict(miss_ratio=output["misses"] / wanted, simulated=str(wanted))
