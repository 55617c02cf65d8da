"""A training job as storage sees it: readers fetch and decode batches ahead of an accelerator that is emulated.

    python -m experiments.training_io.loops.training_loop '{"store": {...}, "format": "npy", "workload": {...}, ...}'

prints one JSON object. The accelerator sleeps for the step's computation; what it waits for a batch is the stall. Two
published definitions of accelerator utilisation (AU) are told apart: the computation that was *configured* over the
running time (MLPerf Storage's rules), and the computation that was *measured*, over the same. The running time is from
the first batch on; the wait for that one is `first_batch_s`.
"""

import ctypes
import json
import queue
import resource
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np

from experiments.training_io.clients import stores
from experiments.training_io.data import formats, samples

SWITCH_S = 0.0005  # readers that compute must not keep the accelerator's thread from waking up
PR_SET_TIMERSLACK = 29


@dataclass(frozen=True)
class Loop:
    """What is run: `steps` steps by `readers` threads that hold up to `prefetch` batches ready."""

    format: str
    batch: int
    compute_s: float
    steps: int
    readers: int = 2
    prefetch: int = 4
    seed: int = 0


class Schedule:
    """Hands out units, each once an epoch, in a fresh random order every epoch. Used by all readers."""

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


class Threads:
    """Readers as threads that fill a queue of batches. What goes wrong in one of them is raised in the loop."""

    def __init__(self, loop, store, units):
        self._loop, self._store, self._schedule = loop, store, Schedule(units, loop.seed)
        self._format = formats.load(loop.format)
        self._batches = queue.Queue(loop.prefetch)
        self._stopped = False
        self._payload = [0] * loop.readers
        self._before = store.requests, store.bytes
        self._threads = [
            threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(loop.readers)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, mine):
        held = []
        try:
            while not self._stopped:
                while len(held) < self._loop.batch:
                    for data in self._format.read(self._store, self._schedule.next()):
                        samples.check(data)
                        self._payload[mine] += len(data)
                        held.append(len(data))
                batch, held = held[: self._loop.batch], held[self._loop.batch :]
                self._hand_over(batch)
        except Exception as error:
            self._hand_over(error)

    def _hand_over(self, batch):
        while not self._stopped:
            try:
                return self._batches.put(batch, timeout=0.05)
            except queue.Full:
                pass

    def next(self):
        batch = self._batches.get()
        if isinstance(batch, Exception):
            raise batch
        return batch

    def stop(self):
        """End the readers and return what they have fetched."""
        self._stopped = True
        for thread in self._threads:
            thread.join()
        requests, fetched = self._before
        return {
            "requests": self._store.requests - requests,
            "bytes_read": self._store.bytes - fetched,
            "payload_read": sum(self._payload),
            "units_read": self._schedule.handed_out,
        }


def run(loop, store, readers_of=Threads, clock=time.monotonic, sleep=time.sleep):
    """Run the loop over `store` and return what was measured, as a dict (see the names below)."""
    sys.setswitchinterval(SWITCH_S)
    wake_up_on_time()
    begin, cpu = clock(), _cpu_s()
    units = formats.load(loop.format).units(store)
    opened_s = clock() - begin
    readers = readers_of(loop, store, units)
    stalls, computed, used = [], 0.0, 0
    try:
        for step in range(loop.steps):
            waiting = clock()
            used += sum(readers.next())
            start = clock()
            if step == 0:
                first_batch_s, running = start - begin, start
            else:
                stalls.append(start - waiting)
            sleep(loop.compute_s)
            computed += clock() - start
        elapsed = clock() - running
    finally:
        fetched = readers.stop()
    cpu = _cpu_s() - cpu
    return {
        "au_configured": loop.steps * loop.compute_s / elapsed,
        "au_measured": computed / elapsed,
        "stall_ms": [1e3 * stall for stall in stalls],
        "first_batch_ms": 1e3 * first_batch_s,
        "opened_ms": 1e3 * opened_s,
        "samples_per_s": loop.steps * loop.batch / elapsed,
        "bytes_per_byte_used": fetched["bytes_read"] / fetched["payload_read"],
        "requests_per_epoch": fetched["requests"] * len(units) / fetched["units_read"],
        "cpu_seconds_per_gb": cpu / (fetched["bytes_read"] / 1e9),
        "payload_used": used,
        "units": len(units),
        "cpu_s": cpu,
        "elapsed_s": elapsed,
        **fetched,
    }


def wake_up_on_time():
    """Ask the kernel not to round this thread's timers, and those of threads it starts: by default each sleep may be
    50 µs too long, which is 5 % of a step of 1 ms."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)


def closed_form_stall_s(loop, unit_bytes, latency_s, bandwidth):
    """Return the stall a step that `KnownStore` causes once what was prefetched is used up: readers together bring a
    batch every batch (latency + bytes / bandwidth) / readers seconds, for units of one sample each, and the
    accelerator computes meanwhile."""
    supply_s = loop.batch * (latency_s + unit_bytes / bandwidth) / loop.readers
    return max(0.0, supply_s - loop.compute_s)


def _cpu_s():
    """CPU time of this process and of the readers that were its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main(text):
    asked = json.loads(text)
    readers_of = Threads
    if asked.get("loader") == "torch":
        from experiments.training_io.loops.torch_readers import TorchReaders as readers_of
    print(json.dumps(run(Loop(**asked["loop"]), stores.open_store(asked["store"]), readers_of)))


if __name__ == "__main__":
    main(sys.argv[1])
