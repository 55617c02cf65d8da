"""Show that libCacheSim's Random does not evict uniformly: its hits depend on its hash table.

    python -m experiments.caching.deviations.libcachesim_random

Uniform eviction knows no hash table. `Random` draws a bucket until it finds one that is not empty,
and then an object in that bucket, so an object that shares its bucket is evicted less often than
one that is alone. Drawing among the objects themselves would give each the same chance.
"""

import tempfile

import libcachesim

from experiments.caching import access_traces, simulation, theory

ITEMS, EPOCHS, SHARE = 4_000, 30, 0.5


def hit_ratios(powers=(8, 11, 13, 16, 20), items=ITEMS, epochs=EPOCHS):
    """Return {hash power: hit ratio after five epochs} on independent shuffles."""
    trace = access_traces.make("uniform", items, (epochs - 5) * items, 1, warm=5 * items)
    with tempfile.NamedTemporaryFile() as file:
        written = simulation.write(trace, file.name)
        reader, ratios = simulation.reader(written.path), {}
        for power in powers:
            cache = libcachesim.Random(round(SHARE * items), hashpower=power)
            cache.process_trace(reader, start_req=0, max_req=trace.warm)
            missed, _ = cache.process_trace(
                reader, start_req=trace.warm, max_req=written.count - trace.warm
            )
            ratios[power] = 1 - missed
    return ratios


def main():
    print(f"uniform eviction, by its closed form: {theory.uniform_random(SHARE):.4f}")
    for power, ratio in hit_ratios().items():
        print(f"Random with 2^{power} buckets: {ratio:.4f}")


if __name__ == "__main__":
    main()
