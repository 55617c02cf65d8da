"""What the neighbours in the literature do on a recorded trace, in our own code.

A trace fixes what is read and when. A neighbour that decides only what to keep can be compared on
it. One that changes the order, or replaces a sample by another, cannot: its reads would be others.
`NEIGHBOURS` says which is which. Theorem 1 of the paper still bounds the latter: if an epoch reads
each item once, in whatever order, a cache for a share c of the items hits at most c.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Neighbour:
    """A system of the literature: the policy that stands for it, or why none does (`reason`)."""

    name: str
    policy: str = ""
    reason: str = ""


NEIGHBOURS = (
    Neighbour("CoorDL's MinIO cache", policy="never_replace"),
    Neighbour("NoPFS", policy="most_read"),
    # It shares room and bandwidth among jobs; the cache of one job keeps a fixed set of samples.
    Neighbour("SiloD, one job", policy="never_replace"),
    Neighbour("Quiver", reason="on a miss it gives the loop another sample, which it holds"),
    Neighbour("SHADE", reason="it reads important samples more often, so the reads are others"),
    Neighbour("iCache", reason="it ranks samples by their loss, and replaces the others"),
)


def most_read(ids: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    """Keep the `size` blocks that the whole run reads most often; return whether each request hits.

    So NoPFS places samples: it knows from the seed how often each will be read, but its placement
    does not follow the order. A block is there from its first read on. Of blocks that are read
    equally often, those that come first are kept.
    """
    array = np.asarray(ids)
    distinct, first, counts = np.unique(array, return_index=True, return_counts=True)
    kept = distinct[np.lexsort((first, -counts))[:size]]
    hits = np.isin(array, kept)
    hits[first] = False
    return hits


POLICIES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"most_read": most_read}
