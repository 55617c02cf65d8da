"""A simulated training loop that fetches ahead.

`python -m experiments.caching.prefetch_simulation JSON` takes {"setting": {...}, "strategy",
"steps", "warm_steps", "seed"}. The loop takes a batch of samples in order, computes, and takes the
next; epochs follow one another without a pause. A fetch waits for the origin's latency, log-normal
with mean `latency_s`, and then for its turn on a link that sends one sample after the other. Kept
samples need no link; those on the local disk wait for the disk instead. What is fetched ahead takes
room from what memory keeps. This is a simulation: no byte moves.
"""

import heapq
import json
import sys
from dataclasses import dataclass

import numpy as np

from experiments.caching.prefetch_strategies import STRATEGIES

MEMORY, DISK, ORIGIN = range(3)


@dataclass(frozen=True)
class Setting:
    """A loop, its tiers, and its origin.

    `memory` and `disk` are shares of the `items` that each has room for. Each `checkpoint_every`
    steps, if not 0, the loop writes `checkpoint_bytes` over the same link, in pieces of a sample's
    size, and goes on when the link has sent them. `connections` is the most fetches at once.
    """

    compute_s: float
    latency_s: float
    link_bytes_s: float
    sigma: float = 0.0
    memory: float = 0.0
    disk: float = 0.0
    disk_s: float = 2e-4
    checkpoint_every: int = 0
    checkpoint_bytes: int = 0
    batch: int = 8
    sample_bytes: int = 1 << 16
    items: int = 4_096
    connections: int = 512


class Simulation:
    """One run. `run()` returns its measurements."""

    def __init__(self, setting, strategy, steps, warm_steps, seed):
        self._set, self._strategy = setting, strategy
        self._steps, self._warm = steps, warm_steps
        self._rng = np.random.default_rng(seed)
        self._order, self._drawn = [], []
        self._events, self._now, self._count = [], 0.0, 0
        self._link_free = self._disk_free = 0.0
        self._asked, self._taken, self._step = 0, 0, 0
        self._under_way, self._ready, self._asked_at = 0, set(), {}
        self._memory = round(setting.memory * setting.items)
        self._kept = self._memory
        self._fetches, self._bytes, self._missed, self._window_sum = 0, 0, 0, 0
        self._waits, self._checkpoints, self._from_origin = [], [], set()
        self._waiting_since: float | None = 0.0
        self._left_to_write, self._write_begun = 0, 0.0
        self._noticed = -1  # the last sample of which the strategy knows whether it was ready

    def run(self):
        """Return utilisation, hit ratio, fetches per sample, and more, after the warm-up."""
        self._ask()
        self._take_if_ready()
        while self._step < self._steps:
            self._now, _, happens, argument = heapq.heappop(self._events)
            happens(argument)
        return self._measured()

    def _later(self, when, happens, argument=0):
        self._count += 1
        heapq.heappush(self._events, (when, self._count, happens, argument))

    def _tier(self, number):
        while number >= len(self._order):
            self._order.extend(self._rng.permutation(self._set.items).tolist())
        item = self._order[number]
        if item < self._kept:
            return MEMORY
        on_disk = self._memory <= item < self._memory + self._set.disk * self._set.items
        return DISK if on_disk else ORIGIN

    def _latency(self):
        if not self._drawn:
            sigma = self._set.sigma
            drawn = self._rng.lognormal(-(sigma**2) / 2, sigma, 4_096)
            self._drawn = (self._set.latency_s * drawn).tolist()
        return self._drawn.pop()

    def _ask(self):
        """Ask for samples until the window is full. A wider window leaves memory less to keep."""
        window = max(1, self._strategy.window)
        self._kept = min(self._kept, max(0, self._memory - window))
        while self._asked < self._taken + window and self._under_way < self._set.connections:
            number, tier = self._asked, self._tier(self._asked)
            self._asked += 1
            if tier == MEMORY:
                self._ready.add(number)
                continue
            self._under_way += 1
            self._asked_at[number] = self._now
            if tier == DISK:
                self._disk_free = max(self._disk_free, self._now) + self._set.disk_s
                self._later(self._disk_free, self._arrived, number)
            else:
                self._fetches += 1
                self._from_origin.add(number)
                self._later(self._now + self._latency(), self._responded, number)

    def _responded(self, number):
        self._later(self._send(self._fetched_bytes), self._arrived, number)

    @property
    def _fetched_bytes(self):
        return self._set.sample_bytes * self._strategy.amplify

    def _send(self, size):
        self._link_free = max(self._link_free, self._now) + size / self._set.link_bytes_s
        return self._link_free

    def _arrived(self, number):
        self._under_way -= 1
        self._ready.add(number)
        if number in self._from_origin:
            self._bytes += self._fetched_bytes
        demand = self._set.batch / self._set.compute_s
        self._strategy.arrived(self._now - self._asked_at.pop(number), demand)
        self._ask()
        self._take_if_ready()

    def _take_if_ready(self):
        """Take the samples that are ready, in order; compute when the batch is whole."""
        if self._waiting_since is None:
            return
        goal = (self._step + 1) * self._set.batch
        while self._taken < goal:
            if self._noticed < self._taken:
                self._noticed = self._taken
                self._strategy.wanted(len(self._ready))
            if self._taken not in self._ready:
                self._ask()
                return
            self._ready.remove(self._taken)
            if self._taken in self._from_origin:
                self._from_origin.remove(self._taken)
                self._missed += 1
            self._taken += 1
            self._ask()
        self._waits.append(self._now - self._waiting_since)
        self._waiting_since = None
        self._later(self._now + self._set.compute_s, self._computed)

    def _computed(self, _):
        self._step += 1
        self._window_sum += self._strategy.window
        if self._step == self._warm:
            self._warm_up_is_over()
        if self._step == self._steps:
            return
        every = self._set.checkpoint_every
        if every and self._step % every == 0:
            self._left_to_write, self._write_begun = self._set.checkpoint_bytes, self._now
            self._write(0)
        else:
            self._wait()

    def _write(self, _):
        if self._left_to_write <= 0:
            self._checkpoints.append(self._now - self._write_begun)
            self._wait()
            return
        size = min(self._left_to_write, self._set.sample_bytes)
        self._left_to_write -= size
        self._later(self._send(size), self._write)

    def _wait(self):
        self._waiting_since = self._now
        self._take_if_ready()

    def _warm_up_is_over(self):
        self._begun, self._fetches, self._bytes = self._now, 0, 0
        self._missed, self._window_sum = 0, 0
        self._waits, self._checkpoints = [], []

    def _measured(self):
        steps, samples = self._steps - self._warm, (self._steps - self._warm) * self._set.batch
        return {
            "utilisation": steps * self._set.compute_s / (self._now - self._begun),
            "hit_ratio": 1 - self._missed / samples,
            "fetches_per_sample": self._fetches / samples,
            "bytes_per_sample": self._bytes / samples / self._set.sample_bytes,
            "stall_ms_p99": 1e3 * float(np.quantile(self._waits, 0.99)),
            "window": self._window_sum / steps,
            "checkpoint_s": float(np.median(self._checkpoints)) if self._checkpoints else None,
        }


def simulate(plan):
    """Return the measurements of a plan. Raises `ValueError` unless steps follow the warm-up."""
    if not 0 < plan["warm_steps"] < plan["steps"]:
        raise ValueError(
            f"{plan['warm_steps']} of {plan['steps']} steps are warm-up; some must be left"
        )
    setting = Setting(**plan["setting"])
    strategy = STRATEGIES[plan["strategy"]](setting)
    return Simulation(setting, strategy, plan["steps"], plan["warm_steps"], plan["seed"]).run()


if __name__ == "__main__":
    print(json.dumps(simulate(json.loads(sys.argv[1]))))
