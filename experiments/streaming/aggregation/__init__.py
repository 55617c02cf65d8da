"""The keyed windowed aggregation of streaming/engines, on engines and brokers used from Python.

The input is a file of 64-bit events, with the key in the lowest eight bits and the value in the
rest. Event i belongs to window i // length. An engine counts each key's events in each window and
sums their values. Each engine is a module with `run(job)`. This module holds what they share; the
metric lines_of_code does not count it.

    python -m experiments.streaming.aggregation ENGINE INPUT LENGTH SECONDS SAMPLES [ENDPOINT]
"""

import time
from typing import Any

A, C, MASK = 6364136223846793005, 1442695040888963407, (1 << 64) - 1
State = dict[str, Any]  # what an engine with callbacks keeps from event to event


def mixed(window, key, count, total):
    """Return a 64-bit hash of one result. The checksum is the sum of all hashes, in any order."""
    value = ((window * 256 + key) * 1000003 + count) * 1000003 + total
    for _ in range(3):
        value = value * A + C & MASK
    return value


class Job:
    """One pass over the input, with its results and times."""

    def __init__(self, events, length, endpoint=""):
        self.events, self.length, self.endpoint = events, length, endpoint
        self.windows = -(-len(events) // length)
        self.begin, self.read = 0.0, [0.0] * self.windows
        self.rows, self.checksum, self.latencies, self.last = 0, 0, [], 0.0

    def source(self):
        """Yield (number, event), and record when the last event of each window is read."""
        self.begin, end = time.perf_counter(), len(self.events)
        for number, event in enumerate(self.events):
            if (number + 1) % self.length == 0 or number + 1 == end:
                self.read[number // self.length] = time.perf_counter()
            yield number, event

    def take(self, window, totals):
        """Accept the results of a closed window; `totals` maps key to (count, sum)."""
        self.last = time.perf_counter()
        for key, (count, total) in totals.items():
            self.rows += 1
            self.checksum = self.checksum + mixed(window, key, count, total) & MASK
            self.latencies.append((self.last - self.read[window]) * 1e6)


def add(totals, event):
    """Add an event to the totals of its window."""
    count, total = totals.get(event & 255, (0, 0))
    totals[event & 255] = count + 1, total + (event >> 8)
