"""Access traces of training, and one of inference: which item is read when, exactly from a seed.

Every generator returns a `Trace`. All of them are vectorised: 10^7 requests take about a second and 80 MB per array. The
one exception is `distributed`, which repeats PyTorch's own shuffle step by step.
"""

from dataclasses import dataclass

import numpy as np

from experiments.caching import kv_trace


@dataclass(frozen=True)
class Trace:
    """`ids` (int64, from 1 on) in the order of reading; `items`, how many different ones a cache of share 1 holds;
    `warm`, how many requests go before the hit ratio is counted; `epoch`, the number of requests in one epoch where each
    item is read exactly once per epoch, else 0."""

    ids: np.ndarray
    items: int
    warm: int
    epoch: int = 0


def make(name, items, requests, seed, path=None):
    """Return the trace of that name: `items` different items, at least one epoch and about `requests` requests."""
    if items < 64:
        raise ValueError(
            f"items={items}: a trace needs at least 64 items, else its shards and blocks are empty"
        )
    return GENERATORS[name](
        items,
        max(2, requests // items),
        np.random.default_rng(seed),
        seed=seed,
        path=path,
        requests=requests,
    )


def uniform(items, epochs, rng, **_):
    """An independent uniform shuffle in every epoch."""
    return _by_epoch([rng.permutation(items) for _ in range(epochs)], items)


def loop(items, epochs, rng, **_):
    """One shuffle, read again in the same order in every epoch."""
    return _by_epoch([rng.permutation(items)] * epochs, items)


def shard(items, epochs, rng, shards=64, buffer_share=0.05, **_):
    """Shards in random order, read sequentially through a shuffle buffer that holds `buffer_share` of the items."""
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
    """What one rank of PyTorch's DistributedSampler reads: a `world`-th of each epoch's shuffle."""
    per_epoch = -(-items // world)
    orders = [distributed_sampler(items, world, rank, seed, e) for e in range(epochs * world)]
    return Trace(np.concatenate(orders) + 1, items, per_epoch * world)


def mixture(items, epochs, rng, shares=(0.7, 0.25, 0.05), weights=(0.3, 0.3, 0.4), **_):
    """Corpora of different sizes, drawn from by weight with replacement: small ones are read more often."""
    sizes = np.array([int(items * share) for share in shares])
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    corpus = rng.choice(len(sizes), size=items * epochs, p=weights)
    return Trace(
        begins[corpus] + (rng.random(len(corpus)) * sizes[corpus]).astype(np.int64) + 1,
        int(sizes.sum()),
        items,
    )


def curriculum(items, epochs, rng, start=0.2, **_):
    """Easy items first: each pass shuffles a growing part of the data set, from `start` to all of it."""
    orders, length, done = [], items * epochs, 0
    while done < length:
        share = start + (1 - start) * done / length
        orders.append(rng.permutation(int(items * share)))
        done += len(orders[-1])
    return Trace(np.concatenate(orders)[:length] + 1, items, items)


def jobs(items, epochs, rng, count=4, **_):
    """Jobs that read the same shuffles in turn, each an eighth of an epoch behind the one before it."""
    alone = np.concatenate([rng.permutation(items) for _ in range(max(2, epochs // count + 1))])
    lag, length = items // 8, len(alone)
    ids = np.stack(
        [alone[(count - 1 - j) * lag : length - j * lag] for j in range(count)], axis=1
    ).ravel()
    return Trace(ids[: items * epochs] + 1, items, items)


def checkpoint(items, epochs, rng, burst=0.1, **_):
    """Uniform shuffles; in the middle of each epoch a checkpoint's blocks, `burst` of the items, are read once."""
    blocks, half = int(items * burst), items // 2
    orders, fresh = [], items
    for _ in range(epochs):
        order = rng.permutation(items)
        orders += [order[:half], np.arange(fresh, fresh + blocks), order[half:]]
        fresh += blocks
    return Trace(np.concatenate(orders) + 1, items, items + blocks)


def kv(items, epochs, rng, path, requests, **_):
    """KV-cache blocks of the user's trace in order, at most the first `requests`; the same whatever the seed."""
    ids = kv_trace.blocks(path)[:requests]
    return Trace(ids, len(np.unique(ids)), 0)


GENERATORS = {
    f.__name__: f
    for f in (uniform, loop, shard, block, distributed, mixture, curriculum, jobs, checkpoint, kv)
}


def _by_epoch(orders, items):
    return Trace(np.concatenate(orders).astype(np.int64) + 1, items, items, items)


def shuffle_buffer(order, size, rng):
    """Return `order` as it leaves a shuffle buffer of `size`: each step gives a random slot's item and refills the slot
    with the next; at the end the rest leaves in random order.

    A slot's content at step t is what came in at the step that chose it last, so all steps are found by one sort.
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
    """Return the indices that `torch.utils.data.DistributedSampler(shuffle=True, seed=seed)` gives a rank in an epoch."""
    order = torch_randperm(items, seed + epoch)
    total = -(-items // world) * world
    return np.resize(order, total)[rank::world]


def torch_randperm(count, seed):
    """Return `torch.randperm(count)` of a CPU generator with this seed: Fisher and Yates on the Mersenne twister's
    32-bit outputs, each taken modulo the rest."""
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
