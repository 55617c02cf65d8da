"""Closed forms of hit ratios, for a cache of c·N items as N goes to infinity.

Each epoch reads each of N items once, in an independent uniform shuffle. A miss fills the cache.
The paper's appendix (paper/sections/appendix_caching.tex) derives the forms.
"""

from math import e, exp, log


def optimum(c):
    """Return the best hit ratio of any policy on any shuffle, even one that sees the future.

    A cache that never replaces anything attains it.
    """
    return c


def lru(c):
    return c + (1 - c) * log(1 - c)


def fifo(c):
    return -log(1 - c) - c if c <= 1 - 1 / e else 1 - (e - 1) * (1 - c)


def uniform_random(c):
    return 1 - c * (1 / c + log(c * exp(-1 / c) + 1 - c))


FORMS = {"belady": optimum, "lru": lru, "fifo": fifo, "uniform_random": uniform_random}
