"""Eviction policies in plain Python, written for readability, to check the simulator against.

Each function takes the ids of a trace (a list of int) and the cache's size in objects. It returns
a list of bool: whether each request hits. A miss fills the cache, except in `never_replace`.
"""

import heapq
import random
from collections import OrderedDict, deque


def lru(ids, size):
    """Evict the object that was requested least recently."""
    held, hits = OrderedDict(), []
    for one in ids:
        hit = one in held
        hits.append(hit)
        if hit:
            held.move_to_end(one)
            continue
        if len(held) == size:
            held.popitem(last=False)
        held[one] = None
    return hits


def fifo(ids, size):
    """Evict the object that came in first."""
    queue, held, hits = deque(), set(), []
    for one in ids:
        hit = one in held
        hits.append(hit)
        if hit:
            continue
        if len(held) == size:
            held.remove(queue.popleft())
        queue.append(one)
        held.add(one)
    return hits


def uniform_random(ids, size, seed):
    """Evict an object drawn at random, each with the same chance."""
    draw, slots, held, hits = random.Random(seed).random, [], set(), []
    for one in ids:
        hit = one in held
        hits.append(hit)
        if hit:
            continue
        if len(slots) < size:
            slots.append(one)
        else:
            place = int(draw() * size)
            held.remove(slots[place])
            slots[place] = one
        held.add(one)
    return hits


def belady_min(ids, size):
    """Evict the object whose next request is farthest away (Belady 1966).

    An object without a next request counts as farthest. Ties are broken by the smallest id.
    """
    coming, last = [len(ids)] * len(ids), {}
    for place in range(len(ids) - 1, -1, -1):
        coming[place] = last.get(ids[place], len(ids))
        last[ids[place]] = place
    next_of, farthest, hits = {}, [], []
    for place, one in enumerate(ids):
        hits.append(one in next_of)
        if one not in next_of and len(next_of) == size:
            while True:
                when, victim = heapq.heappop(farthest)
                if next_of.get(victim) == -when:
                    break
            del next_of[victim]
        next_of[one] = coming[place]
        heapq.heappush(farthest, (-coming[place], one))
    return hits


def older_of_two(ids, size, seed):
    """Draw two objects at random and evict the less recently requested: JuiceFS's "2-random"."""
    draw, slots, last, hits = random.Random(seed).random, [], {}, []
    for now, one in enumerate(ids):
        hit = one in last
        hits.append(hit)
        last[one] = now
        if hit:
            continue
        slots.append(one)
        if len(slots) > size:
            pair = [int(draw() * len(slots)) for _ in range(2)]
            place = min(pair, key=lambda place: last[slots[place]])
            del last[slots[place]]
            slots[place] = slots[-1]
            slots.pop()
    return hits


def never_replace(ids, size):
    """Keep the first `size` objects for good, as the reference tier does."""
    held, hits = set(), []
    for one in ids:
        hits.append(one in held)
        if len(held) < size:
            held.add(one)
    return hits


def two_lists(ids, size):
    """Evict from the older end of the inactive list, as Linux's classic page cache does.

    A hit on the inactive list moves the object to the active list, which holds at most half of the
    objects. The model treats refaults like any other miss.
    """
    inactive, active, hits = OrderedDict(), OrderedDict(), []
    for one in ids:
        hits.append(one in inactive or one in active)
        if one in active:
            continue
        if inactive.pop(one, hits) is None:
            active[one] = None
        else:
            inactive[one] = None
        while len(inactive) + len(active) > size:
            while len(active) > len(inactive):
                inactive[active.popitem(last=False)[0]] = None
            inactive.popitem(last=False)
    return hits
