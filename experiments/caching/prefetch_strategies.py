"""Strategies of fetching ahead: how many samples may be under way or waiting, at each moment.

A strategy is an object with `window`, in samples; the simulation tells it what happens. It knows
nothing of the origin but what it sees. `amplify` is how many bytes it fetches for each that is
asked for.
"""

import math
from collections import deque
from dataclasses import dataclass

from experiments.caching import prefetch_model


@dataclass
class Fixed:
    """Always the same window. 1 is no fetching ahead: a sample is asked for when it is needed."""

    window: int
    amplify: float = 1.0

    def wanted(self, ready):
        """The loop wants the next sample, and `ready` samples are there."""

    def arrived(self, seconds, per_second):
        """A sample came `seconds` after it was asked for; the loop would take `per_second`."""


class Autotuned(Fixed):
    """The autotuner of tf.data's prefetch: double the buffer if it was full and then ran empty."""

    LIMIT = 2048

    def __init__(self):
        super().__init__(1)
        self._was_full = False

    def wanted(self, ready):
        if ready >= self.window:
            self._was_full = True
        elif ready == 0 and self._was_full:
            self._was_full = False
            self.window = min(self.LIMIT, 2 * self.window)


class ToJitter(Fixed):
    """As many samples as the loop takes during the slowest of the last thousand fetches.

    It starts with a batch, and grows at most by half for each batch that comes.
    """

    SEEN = 1_000

    def __init__(self, batch):
        super().__init__(batch)
        self._batch, self._count = batch, 0
        self._slowest: deque[tuple[int, float]] = deque()  # decreasing; the first is the slowest

    def arrived(self, seconds, per_second):
        self._count += 1
        while self._slowest and self._slowest[-1][1] <= seconds:
            self._slowest.pop()
        self._slowest.append((self._count, seconds))
        if self._slowest[0][0] <= self._count - self.SEEN:
            self._slowest.popleft()
        if self._count % self._batch == 0:
            wanted = math.ceil(per_second * self._slowest[0][1]) + self._batch
            self.window = min(wanted, math.ceil(1.5 * self.window), Autotuned.LIMIT)


def by_rule(setting):
    """Return the smallest window, in doublings, that the model says costs at most 1 % of the time.

    It takes three numbers: demand, supply, and jitter. Where supply is short, no window helps; the
    rule then has the window with which the loop waits for the link alone.
    """
    window, missing = setting.batch, 1 - setting.memory - setting.disk
    best = prefetch_model.utilisation(setting, Autotuned.LIMIT, missing)
    while prefetch_model.utilisation(setting, window, missing) < 0.99 * best:
        window *= 2
    return Fixed(window)


STRATEGIES = {
    "none": lambda setting: Fixed(1),
    "batch": lambda setting: Fixed(setting.batch),
    "double_buffer": lambda setting: Fixed(2 * setting.batch),
    "fixed_64": lambda setting: Fixed(64),
    "fixed_512": lambda setting: Fixed(512),
    "autotune": lambda setting: Autotuned(),
    "to_jitter": lambda setting: ToJitter(setting.batch),
    "by_rule": by_rule,
    "readahead": lambda setting: Fixed(2 * setting.batch, amplify=4.0),
}
