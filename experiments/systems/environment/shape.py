"""What a store does to each request: six settings that change independently, and their clock.

A request holds one of `slots` places from its arrival to its last byte; the others queue. It waits
for a latency, whose logarithm is normal around that of `latency_s` with the deviation `jitter`, for
the opening of an object or the listing of names if it does that, and then for its bytes, which all
requests together draw from one pipe.
"""

import math
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PIECE = 1 << 17  # requests share the pipe in turns of so many bytes


@dataclass(frozen=True)
class Shape:
    """The settings of a store; a zero takes no time, and `bandwidth` is in B/s."""

    latency_s: float = 0.0
    bandwidth: float = math.inf
    open_s: float = 0.0
    entry_s: float = 0.0  # for each name listed
    slots: int = 64
    jitter: float = 0.0

    def __post_init__(self) -> None:
        for name in ("latency_s", "open_s", "entry_s", "jitter"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; give a number from 0 on")
        if not self.bandwidth > 0:
            raise ValueError(f"bandwidth is {self.bandwidth}; give a positive number of B/s")
        if type(self.slots) is not int or self.slots < 1:
            raise ValueError(f"slots is {self.slots}; give a whole number of at least 1")


class Shaper:
    """Delays requests as a `Shape` says; several threads may use it at once."""

    def __init__(self, shape: Shape, seed: int = 0):
        self.shape, self._random = shape, random.Random(seed)
        self._slots, self._lock = threading.Semaphore(shape.slots), threading.Lock()
        self._pipe_free = 0.0

    @contextmanager
    def request(self, opens: int = 0, entries: int = 0) -> Iterator[None]:
        """Hold a place while the request is answered, after its latency, openings, and listing."""
        with self._slots:
            shape = self.shape
            until(
                time.monotonic()
                + self._latency_s()
                + opens * shape.open_s
                + entries * shape.entry_s
            )
            yield

    def transfer(self, size: int) -> None:
        """Wait until the pipe has carried `size` bytes, in turns with other requests."""
        while size > 0:
            piece = min(size, PIECE)
            with self._lock:
                end = max(self._pipe_free, time.monotonic()) + piece / self.shape.bandwidth
                self._pipe_free = end
            until(end)
            size -= piece

    def _latency_s(self) -> float:
        if not self.shape.jitter:
            return self.shape.latency_s
        with self._lock:
            return self.shape.latency_s * self._random.lognormvariate(0.0, self.shape.jitter)


def until(end: float) -> None:
    """Sleep until `end` on the monotonic clock; a past time takes none."""
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)
