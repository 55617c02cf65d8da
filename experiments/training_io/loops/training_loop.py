"""A training job as storage sees it: readers fetch batches ahead of an emulated accelerator.

    python -m experiments.training_io.loops.training_loop '{"store": {...}, "loop": {...}}'

prints one JSON object. The accelerator sleeps for the computation of each step. A stall is the time
that it waits for a batch. The report has accelerator utilisation (AU) by two published definitions:
*configured* computation over running time (the rules of MLPerf Storage), and *measured* computation
over running time. The running time starts at the first batch; `first_batch_ms` is the wait for it.
"""

import contextlib
import json
import queue
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.systems.environment.on_time import wake_up_on_time
from experiments.training_io.clients import stores
from experiments.training_io.data import formats, samples
from experiments.training_io.loops.schedule import Schedule

SWITCH_S = 0.0005  # so short that computing readers do not delay the accelerator's thread


@dataclass(frozen=True)
class Loop:
    """A loop of `steps` steps, with `readers` readers that keep up to `prefetch` batches ready.

    It goes on beyond these steps until `seconds` have passed since the first batch.
    """

    format: str
    batch: int
    compute_s: float
    steps: int
    readers: int = 2
    prefetch: int = 4
    seed: int = 0
    seconds: float = 0.0


class Threads:
    """Reader threads that fill a queue of batches. Their errors are raised in the loop."""

    def __init__(self, loop, store, units):
        self._loop, self._store, self._schedule = loop, store, Schedule(units, loop.seed)
        self._format = formats.load(loop.format)
        self._batches: queue.Queue = queue.Queue(loop.prefetch)
        self._stopped = False
        self._payload, self._samples = [0] * loop.readers, [0] * loop.readers
        self._before = store.requests, store.bytes
        self._threads = [
            threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(loop.readers)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, mine):
        held: list[int] = []
        try:
            while not self._stopped:
                while len(held) < self._loop.batch:
                    for data in self._format.read(self._store, self._schedule.next()):
                        samples.check(data)
                        self._payload[mine] += len(data)
                        self._samples[mine] += 1
                        held.append(len(data))
                batch, held = held[: self._loop.batch], held[self._loop.batch :]
                self._hand_over(batch)
        except Exception as error:
            self._hand_over(error)
        finally:
            self._store.close()

    def _hand_over(self, batch):
        while not self._stopped:
            with contextlib.suppress(queue.Full):
                self._batches.put(batch, timeout=0.05)
                return

    def next(self):
        batch = self._batches.get()
        if isinstance(batch, Exception):
            raise batch
        return batch

    def stop(self):
        """Stop the readers, and return counts of what they fetched."""
        self._stopped = True
        for thread in self._threads:
            thread.join()
        requests, fetched = self._before
        return {
            "requests": self._store.requests - requests,
            "bytes_read": self._store.bytes - fetched,
            "payload_read": sum(self._payload),
            "samples_read": sum(self._samples),
            "units_read": self._schedule.handed_out,
        }


def run(loop, store, readers_of=Threads, clock=time.monotonic, sleep=time.sleep):
    """Run the loop over `store` and return a dict of measurements."""
    sys.setswitchinterval(SWITCH_S)
    wake_up_on_time()
    begin, cpu = clock(), _cpu_s()
    units = formats.load(loop.format).units(store)
    opened_s = clock() - begin
    readers = readers_of(loop, store, units)
    stalls, computed, used, steps, running = [], 0.0, 0, 0, begin
    try:
        while steps < loop.steps or clock() - running < loop.seconds:
            waiting = clock()
            used += sum(readers.next())
            start = clock()
            if steps == 0:
                first_batch_s, running = start - begin, start
            else:
                stalls.append(start - waiting)
            sleep(loop.compute_s)
            computed += clock() - start
            steps += 1
        elapsed = clock() - running
    finally:
        fetched = readers.stop()
    cpu = _cpu_s() - cpu
    return {
        "au_configured": steps * loop.compute_s / elapsed,
        "au_measured": computed / elapsed,
        "stall_ms": [1e3 * stall for stall in stalls],
        "first_batch_ms": 1e3 * first_batch_s,
        "opened_ms": 1e3 * opened_s,
        "samples_per_s": steps * loop.batch / elapsed,
        "bytes_per_byte_used": fetched["bytes_read"] / fetched["payload_read"],
        "requests_per_epoch": fetched["requests"] * len(units) / fetched["units_read"],
        "cpu_seconds_per_gb": cpu / (fetched["bytes_read"] / 1e9),
        "payload_used": used,
        "units": len(units),
        "cpu_s": cpu,
        "elapsed_s": elapsed,
        **fetched,
    }


def closed_form_stall_s(loop, unit_bytes, latency_s, bandwidth):
    """Return the stall per step that `KnownStore` causes after the prefetched batches are used up.

    The readers together deliver a batch every batch (latency + bytes / bandwidth) / readers
    seconds, for units of one sample, while the accelerator computes.
    """
    supply_s = loop.batch * (latency_s + unit_bytes / bandwidth) / loop.readers
    return max(0.0, supply_s - loop.compute_s)


def _cpu_s():
    """Return the CPU seconds of this process and of its former children, the readers."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main(text):
    plan = json.loads(text)
    readers_of: Callable[..., Any] = Threads
    if plan.get("loader") == "torch":
        from experiments.training_io.loops import torch_readers

        readers_of = torch_readers.TorchReaders
    with contextlib.closing(stores.open_store(plan["store"])) as store:
        print(json.dumps(run(Loop(**plan["loop"]), store, readers_of)))


if __name__ == "__main__":
    main(sys.argv[1])
