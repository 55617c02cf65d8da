"""Simulation of a loop that computes on what readers GET ahead of it.

`depth` GETs are in flight as long as fewer than `AHEAD` batches wait to be used. A step begins when
the step before is over and a batch has arrived, in whatever order its GETs ended.
"""

import heapq
import itertools
from collections.abc import Iterator

import numpy as np

from experiments.rdma.latency_budget.demand import Demand

AHEAD = 4  # batches, as in `training_loop`
STEPS, MOST_GETS = 400, 40_000
NOTICED = 0.01  # a share of the running time that is lost to stalls
LONGEST_S = 100.0  # of a GET whose latency still might not matter


def stall_share(demand: Demand, latencies: Iterator[float], depth: int, steps: int) -> float:
    """Return the share of the running time in which the loop waits, after its first batch."""
    limit = max(AHEAD * demand.batch, depth)
    arrivals = [next(latencies) for _ in range(min(depth, limit))]
    heapq.heapify(arrivals)
    begun, arrived, used = len(arrivals), 0, 0
    now = first = stalled = 0.0
    for step in range(steps):
        free = now
        while arrived < used + demand.batch or (arrivals and arrivals[0] <= free):
            ended = heapq.heappop(arrivals)
            now, arrived = max(now, ended), arrived + 1
            if begun < used + limit:
                heapq.heappush(arrivals, ended + next(latencies))
                begun += 1
        if step == 0:
            first = now
        else:
            stalled += now - free
        used += demand.batch
        while begun < used + limit and len(arrivals) < depth:  # there is room for more again
            heapq.heappush(arrivals, now + next(latencies))
            begun += 1
        now += demand.batch * demand.compute_s
    return stalled / (now - first)


def steps_of(demand: Demand) -> int:
    """Return how many steps to simulate: fewer with large batches."""
    return max(20, min(STEPS, MOST_GETS // demand.batch))


def drawn(mean_s: float, seed: int) -> Iterator[float]:
    """Yield latencies of GETs: half of the mean, and an exponential tail that makes up the rest."""
    random = np.random.default_rng(seed)
    while True:
        yield from (mean_s / 2 * (1 + random.exponential(size=4096))).tolist()


def constant(latency_s: float) -> Iterator[float]:
    return itertools.repeat(latency_s)


def budget_s(demand: Demand, depth: int, seed: int) -> float:
    """Return the largest mean latency at which less than `NOTICED` of the time is lost."""
    low, high = 1e-9, LONGEST_S
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        lost = stall_share(demand, drawn(middle, seed), depth, steps_of(demand))
        low, high = (middle, high) if lost < NOTICED else (low, middle)
    return low
