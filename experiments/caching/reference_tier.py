"""A reference tier-0 cache for training: memory and disk in front of an object store.

Each epoch reads every item once. The tier therefore admits items while there is room, and never
replaces them. This attains c·N hits in every epoch after the first, for any shuffle, and no policy
attains more (see the appendix). The loop knows the order of an epoch before the epoch starts, so
`Tier0.epoch` fetches `depth` items ahead of the reader.

Guarantees:
- Every sample that the tier returns has the manifest's digest. The tier repeats a fetch that fails,
  times out, or returns other bytes. It discards a cached file with other bytes and fetches again.
- A full disk stops admission to disk and nothing else.
- Processes may share one folder. Together they never exceed its limit.
"""

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from experiments.caching.reference_tier_disk import DiskTier
from experiments.systems import optional

xxhash = optional.module("xxhash")

BACKOFF_S = 0.05


class OriginError(Exception):
    """The origin did not return an item's true bytes in any attempt."""


@dataclass
class Counters:
    """Counts of hits, fetches, and errors, in items; `fetched_bytes` in bytes."""

    memory_hits: int = 0
    disk_hits: int = 0
    fetched: int = 0
    fetched_bytes: int = 0
    origin_errors: int = 0
    wrong_bytes: int = 0
    corrupt_on_disk: int = 0
    disk_errors: int = 0

    @property
    def hits(self):
        return self.memory_hits + self.disk_hits


def digest(content):
    """Return an item's digest as in the manifest: 128 bits that detect damage, but not malice."""
    return xxhash.xxh3_128_hexdigest(content)


class Tier0:
    """The cache of one process.

    `fetch(key) -> bytes` reads from the origin, and raises an exception on failure or timeout.
    `manifest` is {key: digest}. `memory_bytes` limits kept items *and* prefetched items together:
    the tier reserves `depth` items of at most `item_bytes` for the prefetch, so that a deeper
    prefetch leaves less room to keep items. `disk_bytes` limits `folder`; 0 means no disk tier.
    """

    def __init__(
        self,
        fetch,
        manifest,
        *,
        memory_bytes,
        item_bytes,
        folder=None,
        disk_bytes=0,
        depth=0,
        attempts=4,
        workers=32,
    ):
        if depth < 0 or attempts < 1:
            raise ValueError(
                f"depth={depth}, attempts={attempts}: depth is 0 or more, attempts 1 or more"
            )
        self._fetch, self._manifest, self._attempts = fetch, manifest, attempts
        self._depth, self._workers = depth, min(workers, max(1, depth))
        self._room = max(0, memory_bytes - depth * item_bytes)
        self._memory, self.counters = {}, Counters()
        self._counting = threading.Lock()  # fetches run in threads
        self._disk = DiskTier(folder, disk_bytes, digest) if folder and disk_bytes else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._disk:
            self._disk.close()

    def read(self, key):
        """Return the item's bytes.

        Raises `OriginError` if the origin does not return them, and `KeyError` for a key that the
        manifest lacks.
        """
        content = self._kept(key)
        if content is None:
            content = self._from_origin(key)
            self._admit(key, content)
        return content

    def epoch(self, order):
        """Yield (key, bytes) in order, and fetch missing items up to `depth` ahead.

        Call it from one thread. Only this thread reads and changes the kept items, so that the
        tier counts nothing twice.
        """
        if self._depth == 0:
            for key in order:
                yield key, self.read(key)
            return
        order, place = list(order), 0
        ahead: deque = deque()
        pool = ThreadPoolExecutor(self._workers)
        try:
            for key in order:
                while place < len(order) and len(ahead) < self._depth:
                    ahead.append(self._begin(pool, order[place]))
                    place += 1
                item = ahead.popleft()
                content = item if isinstance(item, bytes) else item.result()
                if not isinstance(item, bytes):
                    self._admit(key, content)
                yield key, content
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def stats(self):
        """Return the counters as a dict, with the number of items now in memory."""
        return {
            **asdict(self.counters),
            "hits": self.counters.hits,
            "kept_in_memory": len(self._memory),
        }

    def _begin(self, pool, key):
        kept = self._kept(key)
        return kept if kept is not None else pool.submit(self._from_origin, key)

    def _kept(self, key):
        if key in self._memory:
            self.counters.memory_hits += 1
            return self._memory[key]
        if self._disk:
            content = self._disk.get(key, self._manifest[key])
            self.counters.corrupt_on_disk, self.counters.disk_errors = (
                self._disk.corrupt,
                self._disk.errors,
            )
            if content is not None:
                self.counters.disk_hits += 1
                return content
        return None

    def _from_origin(self, key):
        expected, why = self._manifest[key], None
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(BACKOFF_S * 2 ** (attempt - 1))
            try:
                content = self._fetch(key)
            except Exception as error:  # every client raises its own kinds
                self._count(origin_errors=1)
                why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                continue
            if digest(content) == expected:
                self._count(fetched=1, fetched_bytes=len(content))
                return bytes(content)
            self._count(wrong_bytes=1)
            why = f"{len(content)} bytes came whose digest is not the manifest's"
        raise OriginError(f'"{key}" was not to be had in {self._attempts} attempts; last: {why}')

    def _count(self, **more):
        with self._counting:
            for name, value in more.items():
                setattr(self.counters, name, getattr(self.counters, name) + value)

    def _admit(self, key, content):
        if len(content) <= self._room:
            self._memory[key] = content
            self._room -= len(content)
        elif self._disk:
            self._disk.put(key, content)
            self.counters.disk_errors = self._disk.errors
