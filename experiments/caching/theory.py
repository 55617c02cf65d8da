"""Hit ratios that are known: shuffled epochs in which each of N items is read once, a cache of c·N, N to infinity.

Derived in the appendix of the paper (paper/sections/appendix_caching.tex). Independent uniform shuffles, demand fill.
"""

from math import e, exp, log


def optimum(c):
    """Any policy, any shuffle, even one that sees the future: at most this, and never replacing attains it."""
    return c


def lru(c):
    return c + (1 - c) * log(1 - c)


def fifo(c):
    return -log(1 - c) - c if c <= 1 - 1 / e else 1 - (e - 1) * (1 - c)


def uniform_random(c):
    return 1 - c * (1 / c + log(c * exp(-1 / c) + 1 - c))


FORMS = {"belady": optimum, "lru": lru, "fifo": fifo, "uniform_random": uniform_random}
