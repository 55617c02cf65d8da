"""Reads of one large object over any store: random 4 KiB blocks by several threads, or in order.

    python -m experiments.training_io.clients.random_reads \\
        '{"store": {...}, "name": "blocks", "threads": 2, "seconds": 0.3, ...}'

Debian's fio has no engine for NFS or S3; this program measures them as fio measures files. With
`direct`, it reads a file past the page cache (O_DIRECT), like fio. It checks the contents of every
read.
"""

import json
import mmap
import os
import resource
import sys
import threading
import time
from contextlib import closing

import numpy as np

from experiments.training_io.clients import blocks, stores

CHUNK = 1 << 20
PERCENTILES = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}


class DirectFile:
    """A file read past the page cache, with the methods of a store that `random_blocks` uses."""

    def __init__(self, folder, name):
        self._path = f"{folder}/{name}"
        self._mine = threading.local()

    def size(self, name):
        return os.stat(self._path).st_size

    def get_range(self, name, start, length):
        mine = self._mine.__dict__
        if "file" not in mine:
            mine["file"], mine["buffer"] = (
                os.open(self._path, os.O_RDONLY | os.O_DIRECT),
                mmap.mmap(-1, CHUNK),
            )
        view = memoryview(mine["buffer"])[:length]
        if os.preadv(mine["file"], [view], start) != length:
            raise OSError(f"{length} B at {start} could not be read")
        return view

    def close(self):
        if (file := self._mine.__dict__.pop("file", None)) is not None:
            os.close(file)


def random_blocks(store, name, threads, seconds, seed=0, unchecked_mib=None):
    """Read random blocks for `seconds`, with one outstanding request per thread.

    Return a dict: operations, rates, CPU seconds, and latencies in µs. For a null target,
    `unchecked_mib` is the size of the object that it pretends to hold; its contents go unchecked.
    """
    count = unchecked_mib * 256 if unchecked_mib else store.size(name) // blocks.BLOCK
    samples_of: dict[int, list[int]] = {}  # of each thread, in ns

    def work(mine):
        with closing(store):
            read(mine)

    def read(mine):
        order, place = np.random.default_rng([seed, mine]).integers(0, count, 1 << 16).tolist(), 0
        samples = []
        store.get_range(name, 0, blocks.BLOCK)  # connects, or opens the file
        gate.wait()
        end = time.perf_counter_ns() + int(seconds * 1e9)
        now = time.perf_counter_ns()
        while now < end:
            number = order[place % len(order)]
            data = store.get_range(name, number * blocks.BLOCK, blocks.BLOCK)
            if not unchecked_mib:
                blocks.check(data, number)
            place, before, now = place + 1, now, time.perf_counter_ns()
            samples.append(now - before)
        samples_of[mine] = samples

    gate = threading.Barrier(threads + 1)
    workers = [threading.Thread(target=work, args=(mine,)) for mine in range(threads)]
    for worker in workers:
        worker.start()
    gate.wait()
    begin, cpu = time.perf_counter(), _cpu_s()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter() - begin
    if len(samples_of) < threads:
        raise RuntimeError("a thread of the reader ended early; its error stands above")
    samples = np.concatenate([samples_of[mine] for mine in range(threads)]) / 1e3
    return {
        "ops": len(samples),
        "elapsed_s": elapsed,
        "iops": len(samples) / elapsed,
        "cpu_s": _cpu_s() - cpu,
        "ops_per_cpu_s": len(samples) / max(_cpu_s() - cpu, 1e-9),
        **{
            name: float(np.quantile(samples, share, method="inverted_cdf"))
            for name, share in PERCENTILES.items()
        },
    }


def in_order(store, name, seconds):
    """Read the object in order, 1 MiB per request, for `seconds`; at its end, start again."""
    size, place, read = store.size(name), 0, 0
    begin = time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        length = min(CHUNK, size - place)
        data = store.get_range(name, place, length)
        for at in (0, length - blocks.BLOCK):
            blocks.check(data[at : at + blocks.BLOCK], (place + at) // blocks.BLOCK)
        read, place = read + length, (place + length) % size
    return {"bytes": read, "mb_s": read / elapsed / 1e6}


def _cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(text):
    plan = json.loads(text)
    target, name = plan["store"], plan["name"]
    store = DirectFile(target["folder"], name) if plan.get("direct") else stores.open_store(target)
    with closing(store):
        result = random_blocks(
            store,
            name,
            plan["threads"],
            plan["seconds"],
            plan.get("seed", 0),
            plan.get("unchecked_mib"),
        )
        if plan.get("in_order_seconds"):
            result["in_order"] = in_order(store, name, plan["in_order_seconds"])
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
