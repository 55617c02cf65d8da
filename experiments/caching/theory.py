"""Closed forms of hit ratios, for a cache of c·N items as N goes to infinity.

Each epoch reads each of N items once, in an independent uniform shuffle. A miss fills the cache.
The paper's appendix (paper/sections/appendix_caching.tex) derives the forms.
"""

from math import e, exp, log, sqrt


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


def lru_shared(c, jobs, lag):
    """Return LRU's hit ratio for `jobs` that read one data set, each a share `lag` behind the next.

    Between two jobs' reads of an item come `jobs * lag` of the items, fewer if an epoch begins
    meanwhile, for the two epochs share some. Holds for `jobs * lag` up to 1.
    """
    between = jobs * lag
    followers = 1.0 if between < c else sqrt(max(0.0, between**2 - 4 * (between - c)))
    return (lru(c) + (jobs - 1) * followers) / jobs


def fifo_shared_least(c, jobs, lag, epochs):
    """Return a lower bound of FIFO's hit ratio for such jobs over some epochs; 0 if none is known.

    Rounds that only begin or only end within these epochs may add a miss each.
    """
    apart = (jobs - 1) * lag
    return 1 - (1 + apart / epochs) / jobs if c >= 2 * apart else 0.0


def kept_for_good(c, jobs, lag, items):
    """Return the share of the items to keep for good, if the rest must pass from first to last job.

    A share `kept` of the items leaves `(1 - kept) * apart` to be held on their way, in the mean;
    three standard deviations are added. If the jobs are too far apart, all room is for good.
    """
    apart = (jobs - 1) * lag
    apart += 1.5 * sqrt(apart / items)
    return (c - apart) / (1 - apart) if apart < c else c


def keep_and_pass(c, jobs, lag, items):
    """Return the hit ratio of keeping that share, and passing the others through a FIFO."""
    kept = kept_for_good(c, jobs, lag, items)
    return 1 - (1 - kept) / jobs if kept < c else c


FORMS = {"belady": optimum, "lru": lru, "fifo": fifo, "uniform_random": uniform_random}
