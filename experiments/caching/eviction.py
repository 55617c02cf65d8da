"""The eviction policies under comparison, and what each needs before its hit ratio means anything.

A policy that learns does something else until it has learned: LRB, GL-Cache, and 3L-Cache evict by
recency or age until their first training, and LHD ranks by its first guess. `learns_after` says
how many requests that takes, by the source or by running the policy next to the one that it starts
as. A simulation whose warm-up is shorter leaves the policy out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from experiments.caching import plain_caches


@dataclass(frozen=True)
class Policy:
    """A policy of libCacheSim 0.3.5, as we run it.

    `cls` is libCacheSim's name, `options` what we set other than its default. It may hold `grain`
    objects fewer than its size, because it evicts that many at a time, or splits its room into
    queues of one size. `sees_future` policies drop an object without a next request, so they hold
    less at the end of a trace. With `own_table` the hash table keeps its default size, because the
    hit ratio depends on that size.
    """

    cls: str
    options: Mapping[str, float] = field(default_factory=dict)
    learns_after: int = 0
    grain: int = 0
    sees_future: bool = False
    own_table: bool = False


# Everything that libCacheSim offers, except Python plug-ins.
POLICIES = {
    "belady": Policy("Belady", sees_future=True),
    "belady_size": Policy("BeladySize", sees_future=True),
    "fifo": Policy("FIFO"),
    "lru": Policy("LRU"),
    "lfu": Policy("LFU"),
    "lfu_da": Policy("LFUDA"),
    "lru_k": Policy("LRUK"),  # LRU-2 that forgets an object's past when it evicts the object
    "two_q": Policy("TwoQ"),
    "slru": Policy("SLRU", grain=3),  # four queues
    "mq": Policy("MQ"),
    "clock": Policy("Clock"),
    # By default cold pages may fill only half of it, and stay there if none turns hot.
    "clock_pro": Policy("ClockPro", {"init_ratio_cold": 1.0}),
    "clock_2q_plus": Policy("Clock2QPlus"),
    "sieve": Policy("Sieve"),
    "s3_fifo": Policy("S3FIFO"),
    "arc": Policy("ARC"),
    "lirs": Policy("LIRS"),
    "w_tinylfu": Policy("WTinyLFU"),
    "random": Policy("Random", own_table=True),
    "lru_prob": Policy("LRUProb"),
    "flash_prob": Policy("FlashProb"),
    "size": Policy("Size"),
    "gdsf": Policy("GDSF"),
    "hyperbolic": Policy("Hyperbolic"),
    "lhd": Policy("LHD", learns_after=1 << 20),  # ACCS_PER_RECONFIGURATION
    "lecar": Policy("LeCaR"),
    "cacheus": Policy("Cacheus", own_table=True),
    # It trains 86,400 seconds of the trace after it was first full; a request takes a second.
    "gl_cache": Policy("GLCache", learns_after=120_000, grain=200),
    "lrb": Policy("LRB", learns_after=170_000),  # a batch is 131,072 labelled samples
    "three_l_cache": Policy("ThreeLCache", learns_after=150_000),
}


def never_replace(ids: list[int], size: int, seed: int) -> list[bool]:
    """Keep the first `size` objects for good. The same as in `plain_caches`, computed at once."""
    array = np.asarray(ids)
    distinct, first = np.unique(array, return_index=True)
    kept = distinct[np.argsort(first)[:size]]
    hits = np.isin(array, kept)
    hits[first] = False
    return hits.tolist()


# Our own: {name: (ids, size, seed) -> whether each request hits}.
OURS: dict[str, Callable[[list[int], int, int], list[bool]]] = {
    "uniform_random": plain_caches.uniform_random,
    "never_replace": never_replace,
}
BYPASSING = ("never_replace",)  # it may leave out what it misses, which MIN, as simulated, may not
NAMES = (*POLICIES, *OURS)


def learns_after(name: str) -> int:
    """Return how many requests a policy needs before it does what its name says."""
    return POLICIES[name].learns_after if name in POLICIES else 0


def check_held(name: str, held: int, expected: int) -> None:
    """Raise `ValueError` if a cache holds far fewer objects than it was given room for.

    A fiftieth is allowed for the rounding of queues, in addition to the policy's grain.
    """
    if held < expected - POLICIES[name].grain - max(2, expected // 50):
        raise ValueError(
            f"{name} holds {held} objects, but has room for {expected}; a smaller cache is "
            "compared with larger ones: set its options so that it fills its room"
        )
