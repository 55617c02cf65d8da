"""MIN, LRU, FIFO and uniform Random, written for being read: what the simulator is checked against.

Each function takes the ids of a trace (a list of int) and the cache's size in objects, and returns a list with, for each
request, whether it hits. A miss always fills the cache.
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
    """Evict each object with the same chance."""
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
    """Evict the object whose next request is farthest away (Belady 1966); of those never requested again, any."""
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
    """Evict, of two objects drawn at random, the one that was requested less recently: JuiceFS's "2-random"."""
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
    """Keep the first that come, for good: what the reference tier does."""
    held, hits = set(), []
    for one in ids:
        hits.append(one in held)
        if len(held) < size:
            held.add(one)
    return hits


def two_lists(ids, size):
    """The core of Linux's classic page cache: what is read again while it is on the inactive list moves to the active
    one, which holds at most half; eviction takes the oldest inactive one. Refaults are treated like any miss."""
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
