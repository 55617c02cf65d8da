"""Traces that we recorded from real data loaders, and what a cache sees of them.

experiments/caching/recorded/ holds them; `recorders.record` made them. A cache holds blocks of a
file, so a read of some bytes is a request for each block that it touches.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

FOLDER = "experiments/caching/recorded"  # below the project
NAMES = (
    "megatron",
    "distributed_sampler",
    "hugging_face",
    "webdataset",
    "grain",
    "mds_py1e",
    "mds_py1br",
    "litdata",
)


@dataclass(frozen=True)
class Recording:
    """The reads of a loader in order: file (a number from 0 on), offset and size in bytes, times.

    `about` is the recorder's account: command, versions, seed, epochs, and size of the corpus.
    """

    files: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    ms: np.ndarray
    description: dict


def load(path):
    """Return the recording in a file. Raises `ValueError` if it is none."""
    table = pq.read_table(path)
    description = (table.schema.metadata or {}).get(b"recording")
    if description is None:
        raise ValueError(f"{Path(path).name} is no recording; recorders.record makes one")
    column = table.column("file").combine_chunks()
    return Recording(
        column.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        table.column("offset").to_numpy(),
        table.column("size").to_numpy().astype(np.int64),
        table.column("ms").to_numpy(),
        json.loads(description),
    )


def blocks(recording, block_bytes):
    """Return the requests for aligned blocks, int64 ids from 1 on, in the order of the reads.

    A read that goes on in the block where the read before it ended is no new request.
    """
    first = recording.offsets // block_bytes
    counts = (recording.offsets + recording.sizes - 1) // block_bytes - first + 1
    begins = np.cumsum(counts) - counts
    within = np.arange(int(counts.sum())) - np.repeat(begins, counts)
    file = np.repeat(recording.files, counts)
    block = np.repeat(first, counts) + within
    fresh = np.ones(len(block), bool)
    fresh[1:] = (block[1:] != block[:-1]) | (file[1:] != file[:-1])
    pairs = np.stack([file[fresh], block[fresh]], axis=1)
    return np.unique(pairs, axis=0, return_inverse=True)[1].ravel().astype(np.int64) + 1


def sequential_share(recording):
    """Return the share of reads that begin where the read before them in the same file ended."""
    ends: dict[int, int] = {}
    before = 0
    for file, offset, size in zip(
        recording.files.tolist(), recording.offsets.tolist(), recording.sizes.tolist(), strict=True
    ):
        before += ends.get(file) == offset
        ends[file] = offset + size
    return before / len(recording.files)


def samples(recording, least_bytes=4_096):
    """Return the reads of at least that many bytes as ids from 0 on: same place, same id."""
    large = recording.sizes >= least_bytes
    places = np.stack([recording.files[large], recording.offsets[large]], axis=1)
    return np.unique(places, axis=0, return_inverse=True)[1].ravel()


def reuse_spread(ids):
    """Return the standard deviation of the requests between two reads of an item, per item.

    Independent uniform shuffles have sqrt(1/6) = 0.408, an order that repeats has 0.
    """
    order = np.argsort(ids, kind="stable")
    same = ids[order][1:] == ids[order][:-1]
    return float(np.diff(order)[same].std() / len(np.unique(ids)))


def reuse_distances(ids):
    """Return how many other ids came between two requests for the same id, for each such pair."""
    ids = np.asarray(ids)
    last: dict[int, int] = {}
    tree, distances = np.zeros(len(ids) + 1, np.int64), []
    for now, item in enumerate(ids.tolist()):
        if (then := last.get(item)) is not None:
            distances.append(_prefix(tree, now) - _prefix(tree, then + 1))
            _add(tree, then, -1)
        _add(tree, now, 1)
        last[item] = now
    return np.array(distances, np.int64)


def _add(tree, place, amount):
    place += 1
    while place < len(tree):
        tree[place] += amount
        place += place & -place


def _prefix(tree, count):
    total = 0
    while count:
        total += tree[count]
        count -= count & -count
    return total
