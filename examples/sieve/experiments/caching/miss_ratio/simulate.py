"""Print the misses of an eviction policy on a Zipf trace, as JSON.

All objects have the same size. Usage: simulate.py POLICY CACHE_OBJECTS OBJECTS REQUESTS SEED
"""

import itertools
import json
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator


def zipf(objects: int, requests: int, seed: int) -> Iterator[int]:
    """Yield `requests` objects; object k comes with a probability proportional to 1/(k+1)."""
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(objects)))
    return iter(random.Random(seed).choices(range(objects), cum_weights=weights, k=requests))


def fifo(trace: Iterable[int], size: int) -> int:
    """Evict the object that entered first."""
    cached, queue, misses = set[int](), deque[int](), 0
    for key in trace:
        if key in cached:
            continue
        misses += 1
        if len(cached) == size:
            cached.remove(queue.popleft())
        cached.add(key)
        queue.append(key)
    return misses


def lru(trace: Iterable[int], size: int) -> int:
    """Evict the object that was requested least recently."""
    cached, misses = OrderedDict[int, None](), 0
    for key in trace:
        if key in cached:
            cached.move_to_end(key)
            continue
        misses += 1
        if len(cached) == size:
            cached.popitem(last=False)
        cached[key] = None
    return misses


def clock(trace: Iterable[int], size: int) -> int:
    """Evict as FIFO does, but give an object that was requested again a second round."""
    visited, queue, misses = dict[int, bool](), deque[int](), 0
    for key in trace:
        if key in visited:
            visited[key] = True
            continue
        misses += 1
        if len(visited) == size:
            while visited[queue[0]]:
                visited[queue[0]] = False
                queue.rotate(-1)
            del visited[queue.popleft()]
        visited[key] = False
        queue.append(key)
    return misses


def sieve(trace: Iterable[int], size: int) -> int:
    """Move a hand from the oldest object to newer ones; evict the first not requested since.

    Objects never move: that is the difference from CLOCK (Zhang et al., NSDI 2024, Algorithm 1).
    """
    visited, misses = dict[int, bool](), 0
    newer, older = dict[int, int](), dict[int, int]()
    end = -1  # stands before the oldest and after the newest object
    newer[end] = older[end] = hand = end
    for key in trace:
        if key in visited:
            visited[key] = True
            continue
        misses += 1
        if len(visited) == size:
            hand = newer[end] if hand == end else hand
            while visited[hand]:
                visited[hand] = False
                hand = newer[hand] if newer[hand] != end else newer[end]
            del visited[hand]
            before, after = older.pop(hand), newer.pop(hand)
            newer[before], older[after], hand = after, before, after
        visited[key] = False
        older[key], newer[key] = older[end], end
        newer[older[end]] = older[end] = key
    return misses


POLICIES = {"fifo": fifo, "lru": lru, "clock": clock, "sieve": sieve}


def main(policy: str, *numbers: str) -> None:
    """Simulate one cache."""
    size, objects, requests, seed = map(int, numbers)
    misses = POLICIES[policy](zipf(objects, requests, seed), size)
    print(json.dumps({"misses": misses, "requests": requests}))


if __name__ == "__main__":
    main(*sys.argv[1:])
