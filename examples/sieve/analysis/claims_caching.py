"""The claims of caching; each bound is older than the results that it judges."""

from benchpaper import claim

SIZE = 100  # objects, a tenth of all


@claim("C1", experiment="caching/miss_ratio")
def sieve_misses_less_than_lru(results):
    """With a cache for a tenth of the objects, SIEVE misses at most four fifths of LRU's misses."""
    sides = dict(of=dict(policy="sieve"), to=dict(policy="lru"), cache_objects=SIZE)
    return results.ratio("miss_ratio", **sides).below(0.8)


@claim("C2", experiment="caching/miss_ratio")
def clock_is_close_to_lru(results):
    """With a cache for a tenth of the objects, CLOCK misses within 5 % of what LRU misses."""
    sides = dict(of=dict(policy="clock"), to=dict(policy="lru"), cache_objects=SIZE)
    return results.ratio("miss_ratio", **sides).equal(0.05)
