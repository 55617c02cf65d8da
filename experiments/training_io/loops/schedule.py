"""The order in which readers take the units of a data set."""

import threading

import numpy as np


class Schedule:
    """Hands out each unit once per epoch, in a fresh random order, to all readers."""

    def __init__(self, units, seed):
        if not units:
            raise ValueError(
                "the data set holds nothing of this format; was it written as another one?"
            )
        self._units, self._random, self._lock = units, np.random.default_rng(seed), threading.Lock()
        self._order, self.handed_out = [], 0

    def next(self):
        with self._lock:
            if not self._order:
                self._order = self._random.permutation(len(self._units)).tolist()
            self.handed_out += 1
            return self._units[self._order.pop()]

    def __len__(self):
        return len(self._units)
