"""Three ways to shuffle a data set, as streams that can start at any sample of an epoch.

    full     any sample may follow any other: a ranged request for each
    block    shards come in a random order, and the samples of each in a random order
    buffer   shards come in a random order and are read through; a buffer of samples is kept, from
             which a random one leaves as the next one enters

A stream is a function of its seed alone. `start` skips what was already seen: `full` and `block`
know from the seed where they stood; `buffer` has to fill its buffer again with what was in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

SHUFFLES = ("full", "block", "buffer")


@dataclass(frozen=True)
class Layout:
    """`count` samples of `size` B, one after another in the object `name`, read by shards."""

    name: str
    count: int
    size: int
    per_shard: int
    buffer: int

    def __post_init__(self) -> None:
        if self.count % self.per_shard or self.buffer > self.count:
            raise ValueError(
                f"{self.count} samples must be whole shards of {self.per_shard}, and at least a "
                f"buffer of {self.buffer}"
            )


Sample = tuple[int, bytes]


def stream(store: Any, layout: Layout, shuffle: str, seed: int, start: int = 0) -> Iterator[Sample]:
    """Yield (number, bytes) of the samples of one epoch, from the one at `start` on.

    Raises `ValueError` for an unknown shuffle, or a start outside the epoch.
    """
    if shuffle not in SHUFFLES:
        raise ValueError(f'shuffle "{shuffle}" not found (there are: {", ".join(SHUFFLES)})')
    if not 0 <= start <= layout.count:
        raise ValueError(f"start is {start}; an epoch has {layout.count} samples")
    make = {"full": _full, "block": _block, "buffer": _buffer}[shuffle]
    return make(store, layout, seed, start)


def _one(store: Any, layout: Layout, number: int) -> bytes:
    return bytes(store.get_range(layout.name, number * layout.size, layout.size))


def _shard(store: Any, layout: Layout, shard: int) -> list[Sample]:
    first, size = shard * layout.per_shard, layout.size
    data = store.get_range(layout.name, first * size, layout.per_shard * size)
    return [(first + n, bytes(data[n * size : (n + 1) * size])) for n in range(layout.per_shard)]


def _full(store: Any, layout: Layout, seed: int, start: int) -> Iterator[Sample]:
    for number in np.random.default_rng(seed).permutation(layout.count)[start:].tolist():
        yield number, _one(store, layout, number)


def _shards(layout: Layout, seed: int) -> list[int]:
    random = np.random.default_rng(seed)
    return list(random.permutation(layout.count // layout.per_shard).tolist())


def _block(store: Any, layout: Layout, seed: int, start: int) -> Iterator[Sample]:
    skipped, within = divmod(start, layout.per_shard)
    for shard in _shards(layout, seed)[skipped:]:
        group = _shard(store, layout, shard)
        order = np.random.default_rng([seed, shard]).permutation(layout.per_shard).tolist()
        for place in order[within:]:
            yield group[place]
        within = 0


def _buffer(store: Any, layout: Layout, seed: int, start: int) -> Iterator[Sample]:
    """Draw the whole epoch's places first: they do not depend on what is in them."""
    order, random = _shards(layout, seed), np.random.default_rng([seed, 1])
    entering = [s * layout.per_shard + n for s in order for n in range(layout.per_shard)]
    leaves = random.integers(0, layout.buffer, layout.count - layout.buffer).tolist()
    held, refills = entering[: layout.buffer], entering[layout.buffer :]
    passed = min(start, len(refills))
    for place, number in zip(leaves[:passed], refills[:passed], strict=True):
        held[place] = number
    at_once = passed == 0
    samples = _fill(store, layout, order, held) if at_once else _refill(store, layout, held)
    coming = _read_on(store, layout, order, layout.buffer + passed)
    for place in leaves[passed:]:
        leaving, samples[place] = samples[place], next(coming)
        yield leaving
    last = random.permutation(layout.buffer).tolist()
    for place in last[start - passed :]:
        yield samples[place]


def _fill(store: Any, layout: Layout, order: list[int], held: list[int]) -> list[Sample]:
    """Return the first samples of the epoch, shard by shard."""
    coming = _read_on(store, layout, order, 0)
    return [next(coming) for _ in held]


def _refill(store: Any, layout: Layout, held: list[int]) -> list[Sample]:
    """Return the samples that a buffer held, which lie scattered: a request for each."""
    return [(number, _one(store, layout, number)) for number in held]


def _read_on(store: Any, layout: Layout, order: list[int], entered: int) -> Iterator[Sample]:
    """Yield the samples that enter, shard by shard, after `entered` of them."""
    skipped, within = divmod(entered, layout.per_shard)
    for shard in order[skipped:]:
        yield from _shard(store, layout, shard)[within:]
        within = 0


def same_shard_share(numbers: list[int], layout: Layout, batch: int) -> float:
    """Return the share of pairs of samples in a batch that lie in one shard, over whole batches.

    It is about 1 / shards if every order is equally likely, and 1 if batches are pieces of shards.
    """
    shards = np.asarray(numbers)[: len(numbers) // batch * batch] // layout.per_shard
    pairs = batch * (batch - 1) / 2
    same = [
        (np.bincount(group) * (np.bincount(group) - 1)).sum() / 2
        for group in shards.reshape(-1, batch)
    ]
    return float(np.mean(same) / pairs)
