"""A small training read loop, run on the host: `python -m experiments.caching.epoch_reader FILE`.

Each epoch reads whole samples in a new shuffle. Each step reads one batch, then pauses for its
computing time. FILE is JSON and describes the source, the samples, and the schedule. The program
prints one JSON object.

A step's stall is the time that it waits for its batch. The program compares each sample's digest
with the manifest; the stall excludes this time.
"""

import json
import os
import resource
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from experiments.caching import page_residency, reference_tier
from experiments.systems.s3 import Endpoint


class WrongBytes(Exception):
    """A sample differs from the data set."""


def main(path):
    plan = json.loads(Path(path).read_text())
    with SOURCES[plan["source"]](plan) as source:
        print(json.dumps(run(plan, source)))


def run(plan, source):
    """Read all epochs and return their measurements, as {"epochs": [...]}.

    Each epoch has its seconds, CPU seconds, stall per step (ms), bytes, and the source's counters
    at its end. Raises `WrongBytes` for a sample that differs from the manifest.
    """
    epochs, manifest, batch = [], plan["manifest"], plan["batch"]
    keys = sorted(manifest)
    for epoch in range(plan["epochs"]):
        order = [
            keys[i] for i in np.random.default_rng([plan["seed"], epoch]).permutation(len(keys))
        ]
        started, cpu = time.perf_counter(), _cpu_seconds()
        stalls, total = [], 0
        coming = source.epoch(order)
        for begin in range(0, len(order), batch):
            waits = time.perf_counter()
            step = [next(coming) for _ in order[begin : begin + batch]]
            stalls.append(1e3 * (time.perf_counter() - waits))
            for key, content in step:
                total += len(content)
                if reference_tier.digest(content) != manifest[key]:
                    raise WrongBytes(
                        f'"{key}" in epoch {epoch}: {len(content)} bytes that are not '
                        "the data set's"
                    )
            if plan["compute_ms"]:
                time.sleep(plan["compute_ms"] / 1e3)
        coming.close()
        epochs.append(
            {
                "seconds": time.perf_counter() - started,
                "cpu_seconds": _cpu_seconds() - cpu,
                "stall_ms": stalls,
                "bytes": total,
                "ended": time.time(),
                "stats": source.stats(),
            }
        )
    return {"epochs": epochs}


def _cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _Source:
    """A source that reads `depth` samples ahead of the loop, with at most 32 threads.

    A subclass implements `read(key)`, which returns the bytes of one sample.
    """

    def __init__(self, plan):
        self._depth = plan["depth"]
        self._pool = ThreadPoolExecutor(max(1, min(self._depth, 32)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pool.shutdown(cancel_futures=True)

    def epoch(self, order):
        if not self._depth:
            yield from ((key, self.read(key)) for key in order)
            return
        coming = iter(order)
        ahead: deque[tuple[str, Future[bytes]]] = deque()
        for key in coming:
            ahead.append((key, self._pool.submit(self.read, key)))
            if len(ahead) >= self._depth:
                break
        while ahead:
            key, reading = ahead.popleft()
            content = reading.result()
            if (key_next := next(coming, None)) is not None:
                ahead.append((key_next, self._pool.submit(self.read, key_next)))
            yield key, content

    def read(self, key: str) -> bytes:
        raise NotImplementedError

    def stats(self):
        return {}


class FromS3(_Source):
    """Read each sample with one GET from the origin."""

    def __init__(self, plan):
        super().__init__(plan)
        self._store = Endpoint.from_dict(plan["endpoint"]).obstore()

    def read(self, key):
        return bytes(self._store.get(key).bytes())


class FromFiles(_Source):
    """Read each sample from a file in a mounted folder.

    The loop drops each file from the kernel's page cache after reading it. Otherwise the page cache
    would answer later reads instead of the cache under test. With `page_cache`, the page cache is
    itself under test, and keeps the files.
    """

    def __init__(self, plan):
        super().__init__(plan)
        self._folder, self._page_cache = Path(plan["folder"]), plan.get("page_cache")
        if self._page_cache:
            page_residency.join(self._page_cache["group"])

    def read(self, key):
        with open(self._folder / key, "rb", buffering=0) as file:
            content = file.readall()
            if not self._page_cache:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return content

    def stats(self):
        """Return how many bytes of the data set the kernel's page cache holds."""
        if not self._page_cache:
            return {}
        return {
            "kept_bytes": sum(
                page_residency.resident(path) for path in self._folder.glob("sample-*")
            )
        }


class BesideMemcached(FromS3):
    """Look in memcached first; on a miss, read from the origin and store the sample in memcached.

    Each thread has its own connection.
    """

    def __init__(self, plan):
        from pymemcache.client.base import PooledClient

        super().__init__(plan)
        self._cache = PooledClient(tuple(plan["memcached"]), max_pool_size=32, timeout=30)

    def read(self, key):
        content = self._cache.get(key)
        if content is None:
            content = super().read(key)
            self._cache.set(key, content, noreply=False)
        return content


class BesideMooncake(FromS3):
    """Look in Mooncake's store first; on a miss, read from the origin and put the sample there.

    This process brings the store's memory. A put that the store refuses leaves it as it was.
    """

    BUFFER = 16 << 20

    def __init__(self, plan):
        from mooncake.store import MooncakeDistributedStore

        super().__init__(plan)
        given = plan["mooncake"]
        self._cache, self._lock = MooncakeDistributedStore(), threading.Lock()
        self._hits, self._epochs_left, self._keys = 0, plan["epochs"], list(plan["manifest"])
        status = self._cache.setup(
            given["address"],
            given["metadata"],
            given["bytes"],
            self.BUFFER,
            "tcp",
            "",
            given["master"],
        )
        if status != 0:
            raise OSError(f"Mooncake's client could not be set up: status {status}")

    def __exit__(self, *raised):
        super().__exit__(*raised)
        self._cache.close()

    def read(self, key):
        content = self._cache.get(key)
        if content:
            with self._lock:
                self._hits += 1
            return content
        content = super().read(key)
        self._cache.put(key, content)
        return content

    def stats(self):
        """Return the hits, and at the end how many samples the store holds.

        Not before: a question for an object renews its lease.
        """
        self._epochs_left -= 1
        if self._epochs_left:
            return {"hits": self._hits}
        held = sum(self._cache.is_exist(key) == 1 for key in self._keys)
        return {"hits": self._hits, "held": held}


class FromTier0(_Source):
    """Read through our reference tier, which fetches ahead by itself."""

    def __init__(self, plan):
        super().__init__({"depth": 0})
        store = Endpoint.from_dict(plan["endpoint"]).obstore()
        self._tier = reference_tier.Tier0(
            lambda key: bytes(store.get(key).bytes()),
            plan["manifest"],
            depth=plan["depth"],
            **plan["tier0"],
        )

    def __exit__(self, *exception):
        self._tier.__exit__(*exception)

    def epoch(self, order):
        return self._tier.epoch(order)

    def stats(self):
        return self._tier.stats()


SOURCES = {
    "s3": FromS3,
    "files": FromFiles,
    "memcached": BesideMemcached,
    "mooncake": BesideMooncake,
    "tier0": FromTier0,
}

if __name__ == "__main__":
    main(sys.argv[1])
