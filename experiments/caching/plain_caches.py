"""Eviction policies in plain Python, written for readability, to check the simulator against.

Each function takes the ids of a trace (a list of int) and the cache's size in objects. It returns
a list of bool: whether each request hits. A miss fills the cache, except in `never_replace`.
"""

import heapq
import random
from collections import OrderedDict, deque


def lru(ids, size):
    """Evict the object that was requested least recently."""
    held, hits = OrderedDict[int, None](), []
    for item in ids:
        hit = item in held
        hits.append(hit)
        if hit:
            held.move_to_end(item)
            continue
        if len(held) == size:
            held.popitem(last=False)
        held[item] = None
    return hits


def fifo(ids, size):
    """Evict the object that came in first."""
    queue, held, hits = deque[int](), set[int](), []
    for item in ids:
        hit = item in held
        hits.append(hit)
        if hit:
            continue
        if len(held) == size:
            held.remove(queue.popleft())
        queue.append(item)
        held.add(item)
    return hits


def uniform_random(ids, size, seed):
    """Evict an object drawn at random, each with the same chance."""
    draw, slots, held, hits = random.Random(seed).random, list[int](), set[int](), []
    for item in ids:
        hit = item in held
        hits.append(hit)
        if hit:
            continue
        if len(slots) < size:
            slots.append(item)
        else:
            place = int(draw() * size)
            held.remove(slots[place])
            slots[place] = item
        held.add(item)
    return hits


def belady_min(ids, size):
    """Evict the object whose next request is farthest away (Belady 1966).

    An object without a next request counts as farthest. Ties are broken by the smallest id.
    """
    coming, last = [len(ids)] * len(ids), dict[int, int]()
    for place in range(len(ids) - 1, -1, -1):
        coming[place] = last.get(ids[place], len(ids))
        last[ids[place]] = place
    next_of, farthest, hits = dict[int, int](), list[tuple[int, int]](), []
    for place, item in enumerate(ids):
        hits.append(item in next_of)
        if item not in next_of and len(next_of) == size:
            while True:
                when, victim = heapq.heappop(farthest)
                if next_of.get(victim) == -when:
                    break
            del next_of[victim]
        next_of[item] = coming[place]
        heapq.heappush(farthest, (-coming[place], item))
    return hits


def older_of_two(ids, size, seed):
    """Draw two objects at random and evict the less recently requested: JuiceFS's "2-random"."""
    draw, slots, last, hits = random.Random(seed).random, list[int](), dict[int, int](), []
    for now, item in enumerate(ids):
        hit = item in last
        hits.append(hit)
        last[item] = now
        if hit:
            continue
        slots.append(item)
        if len(slots) > size:
            pair = [int(draw() * len(slots)) for _ in range(2)]
            place = min(pair, key=lambda place: last[slots[place]])
            del last[slots[place]]
            slots[place] = slots[-1]
            slots.pop()
    return hits


def never_replace(ids, size):
    """Keep the first `size` objects for good, as the reference tier does."""
    held, hits = set[int](), []
    for item in ids:
        hits.append(item in held)
        if len(held) < size:
            held.add(item)
    return hits


def keep_and_pass(ids, size, kept, jobs):
    """Keep the first `kept` objects for good, and pass all others through a FIFO of the rest.

    For `jobs` that follow one another through a data set and read in turn, the leader first. The
    FIFO holds what the leader fetched until the last job has read it. Only the leader's misses
    enter: a job that missed once would otherwise push out what the others are about to read.
    """
    held, queue, hits = set[int](), deque[int](), []
    for place, item in enumerate(ids):
        hits.append(item in held)
        if item in held or place % jobs:
            continue
        if len(held) - len(queue) < kept:
            held.add(item)
            continue
        if len(queue) == size - kept:
            if not queue:
                continue
            held.remove(queue.popleft())
        queue.append(item)
        held.add(item)
    return hits


def two_lists(ids, size):
    """Evict from the older end of the inactive list, as Linux's classic page cache does.

    A hit on the inactive list moves the object to the active list, which holds at most half of the
    objects. The model treats refaults like any other miss.
    """
    inactive, active, hits = OrderedDict[int, None](), OrderedDict[int, None](), []
    for item in ids:
        hits.append(item in inactive or item in active)
        if item in active:
            continue
        if inactive.pop(item, hits) is None:
            active[item] = None
        else:
            inactive[item] = None
        while len(inactive) + len(active) > size:
            while len(active) > len(inactive):
                inactive[active.popitem(last=False)[0]] = None
            inactive.popitem(last=False)
    return hits
