"""The claims of caching. They judge what others published: a block is a trace."""

from benchpaper import claim

MSR = "caching/msr_miss_ratios"


def ratio(results, of, to, share):
    return results.ratio(
        "miss_ratio", of=dict(algorithm=of), to=dict(algorithm=to), cache_share=share
    )


@claim("C1", experiment=MSR)
def s3fifo_misses_less_often_than_fifo(results):
    """With a cache of a tenth of the objects, S3-FIFO misses less often than FIFO."""
    return ratio(results, "S3FIFO", "FIFO", 0.1).below(1.0)


@claim("C2", experiment=MSR)
def s3fifo_misses_less_often_than_lru_with_a_small_cache(results):
    """With a cache of a thousandth of the objects, S3-FIFO misses less often than LRU."""
    return ratio(results, "S3FIFO", "LRU", 0.001).below(1.0)


@claim("C3", experiment=MSR)
def s3fifo_halves_the_misses_of_lru(results):
    """With a cache of a tenth of the objects, S3-FIFO misses half as often as LRU, or less."""
    return ratio(results, "S3FIFO", "LRU", 0.1).below(0.5)
