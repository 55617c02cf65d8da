"""Access traces of training, and one of inference: which item is read when, exactly from a seed.

Every generator returns a `Trace`. All but `distributed` are vectorised: 10^7 requests take about a
second, and 80 MB per array. `distributed` repeats PyTorch's own shuffle step by step.
"""

from dataclasses import dataclass, replace

import numpy as np

from experiments.caching import kv_trace


@dataclass(frozen=True)
class Trace:
    """The requests of one trace, and the numbers that a simulation needs.

    `ids` (int64, starting at 1) lists the items in the order of reading. `items` is the number of
    different items, which is also the capacity of a cache of share 1. The hit ratio leaves out the
    first `warm` requests; a generator returns one epoch here, or 0. `epoch` is the number of
    requests in an epoch if each epoch reads every item exactly once, else 0.
    """

    ids: np.ndarray
    items: int
    warm: int
    epoch: int = 0


def make(name, items, requests, seed, path=None, warm=0, **options):
    """Return the trace called `name`, with `items` different items and its generator's `options`.

    About `requests` requests follow a warm-up of at least `warm`, which is whole epochs, and at
    least one. `path` names the user's file, for the trace `kv` only, whose warm-up is at most half.
    Raises `ValueError` for fewer than 64 items.
    """
    if items < 64:
        raise ValueError(
            f"items={items}: a trace needs at least 64 items, else its shards and blocks are empty"
        )
    trace = GENERATORS[name](
        items,
        max(2, (warm + requests) // items),
        np.random.default_rng(seed),
        seed=seed,
        path=path,
        requests=warm + requests,
        warm=warm,
        **options,
    )
    if trace.warm:  # one epoch
        trace = replace(trace, warm=trace.warm * max(1, -(-warm // trace.warm)))
    else:
        trace = replace(trace, warm=max(1, min(warm, len(trace.ids) // 2)))
    if trace.warm >= len(trace.ids):
        raise ValueError(
            f"{name}: {len(trace.ids)} requests are no more than the warm-up of {trace.warm}; ask "
            f"for at least {items} more requests"
        )
    return trace


def uniform(items, epochs, rng, **_):
    """An independent uniform shuffle in every epoch."""
    return _by_epoch([rng.permutation(items) for _ in range(epochs)], items)


def loop(items, epochs, rng, **_):
    """One shuffle, read again in the same order in every epoch."""
    return _by_epoch([rng.permutation(items)] * epochs, items)


def shard(items, epochs, rng, shards=64, buffer_share=0.05, **_):
    """Shards in random order, read through a shuffle buffer that holds a share of the items."""
    pieces = np.array_split(np.arange(items), shards)
    size = max(1, int(items * buffer_share))
    orders = [np.concatenate([pieces[i] for i in rng.permutation(shards)]) for _ in range(epochs)]
    return _by_epoch([shuffle_buffer(order, size, rng) for order in orders], items)


def block(items, epochs, rng, blocks=256, **_):
    """Blocks of neighbouring items in random order; within a block the order never changes."""
    pieces = np.array_split(np.arange(items), blocks)
    return _by_epoch(
        [np.concatenate([pieces[i] for i in rng.permutation(blocks)]) for _ in range(epochs)], items
    )


def distributed(items, epochs, rng, seed, world=4, rank=0, **_):
    """The reads of one rank of PyTorch's DistributedSampler: 1/`world` of each epoch's shuffle."""
    per_epoch = -(-items // world)
    orders = [distributed_sampler(items, world, rank, seed, e) for e in range(epochs * world)]
    return Trace(np.concatenate(orders) + 1, items, per_epoch * world)


def mixture(items, epochs, rng, shares=(0.7, 0.25, 0.05), weights=(0.3, 0.3, 0.4), **_):
    """Weighted draws with replacement from corpora of different sizes; small ones repeat more."""
    sizes = np.array([int(items * share) for share in shares])
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    corpus = rng.choice(len(sizes), size=items * epochs, p=weights)
    return Trace(
        begins[corpus] + (rng.random(len(corpus)) * sizes[corpus]).astype(np.int64) + 1,
        int(sizes.sum()),
        items,
    )


def curriculum(items, epochs, rng, warm=0, start=0.2, **_):
    """Easy items first: each pass shuffles a growing share of the items, from `start` up to 1.

    The share grows from the end of a warm-up of `warm` requests on.
    """
    orders, length, done = [], items * epochs, 0
    while done < length:
        share = start + (1 - start) * max(0, done - warm) / (length - warm)
        orders.append(rng.permutation(int(items * share)))
        done += len(orders[-1])
    return Trace(np.concatenate(orders)[:length] + 1, items, items)


def jobs(items, epochs, rng, count=4, lag=1 / 8, **_):
    """`count` jobs that read the same shuffles, each a share `lag` of an epoch behind the previous.

    They read in turn, one item each, and each a whole number of epochs.
    """
    between, whole = round(lag * items), max(2, -(-epochs // count))
    ahead = (count - 1) * between
    alone = np.concatenate([rng.permutation(items) for _ in range(whole + -(-ahead // items))])
    begins = [ahead - job * between for job in range(count)]
    ids = np.stack([alone[begin : begin + whole * items] for begin in begins], axis=1).ravel()
    return Trace(ids + 1, items, items * count)


def checkpoint(items, epochs, rng, burst=0.1, **_):
    """Uniform shuffles, each interrupted halfway by a checkpoint whose blocks are read only once.

    A checkpoint has a share `burst` as many blocks as the data set has items.
    """
    blocks, half = int(items * burst), items // 2
    orders, fresh = [], items
    for _epoch in range(epochs):
        order = rng.permutation(items)
        orders += [order[:half], np.arange(fresh, fresh + blocks), order[half:]]
        fresh += blocks
    return Trace(np.concatenate(orders) + 1, items, items + blocks)


def kv(items, epochs, rng, path, requests, **_):
    """The first `requests` KV-cache blocks of the user's trace, in order, whatever the seed."""
    ids = kv_trace.blocks(path)[:requests]
    return Trace(ids, len(np.unique(ids)), 0)


GENERATORS = {
    f.__name__: f
    for f in (uniform, loop, shard, block, distributed, mixture, curriculum, jobs, checkpoint, kv)
}


def _by_epoch(orders, items):
    return Trace(np.concatenate(orders).astype(np.int64) + 1, items, items, items)


def shuffle_buffer(order, size, rng):
    """Return `order` as it leaves a shuffle buffer of `size` slots.

    Each step emits the item of a random slot and refills the slot with the next item. At the end
    the rest leaves in random order. At step t, a slot holds the item that entered at the last step
    that chose this slot, so one sort computes all steps.
    """
    count = len(order)
    size = min(size, count)
    steps = count - size
    slots = np.concatenate([rng.integers(0, size, steps), rng.permutation(size)])
    by_slot = np.argsort(slots, kind="stable")
    before = np.concatenate([[-1], by_slot[:-1]])
    first = np.concatenate([[True], slots[by_slot][1:] != slots[by_slot][:-1]])
    source = np.empty(count, np.int64)
    source[by_slot] = np.where(first, slots[by_slot], size + before)
    return order[source]


def distributed_sampler(items, world, rank, seed, epoch):
    """Return one rank's indices in an epoch, as PyTorch's DistributedSampler computes them.

    They equal those of `torch.utils.data.DistributedSampler(shuffle=True, seed=seed)`.
    """
    order = torch_randperm(items, seed + epoch)
    total = -(-items // world) * world
    return np.resize(order, total)[rank::world]


def torch_randperm(count, seed):
    """Return what `torch.randperm(count)` returns for a CPU generator with this seed.

    PyTorch runs the Fisher-Yates shuffle. For each step it takes a 32-bit output of the Mersenne
    twister modulo the number of items left. Raises `ValueError` for counts that PyTorch shuffles
    in another way.
    """
    if count >= (2**32 - 1) // 20:
        raise ValueError(
            f"count={count}: above 2^32/20 PyTorch shuffles another way, which is not repeated here"
        )
    twister = np.random.MT19937()
    twister._legacy_seeding(int(seed) & 0xFFFFFFFF)
    steps = (
        twister.random_raw(max(0, count - 1)) % np.arange(count, 1, -1, dtype=np.uint64)
    ).tolist()
    order = list(range(count))
    for i, step in enumerate(steps):
        order[i], order[i + step] = order[i + step], order[i]
    return np.array(order, dtype=np.int64)
