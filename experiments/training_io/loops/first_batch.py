"""The work before the first batch: finding the samples and reading the first of them.

    python -m experiments.training_io.loops.first_batch \\
        '{"store": {...}, "layout": "objects", "samples": 1000, "batch": 32, ...}'

The layouts hold the same samples. `objects` has one object per sample, found by listing. `shards`
has many samples per object, found by listing and read whole. `index` has one object with all
samples, and another with their offsets. With `warm`, the program does everything once before the
timed run, so that the page cache is full; with `"warm": "names"`, it only reads all names. With
`distinct`, samples beyond that number are the same again, in turn.
"""

import collections
import json
import operator
import os
import sys
import time
from contextlib import closing
from importlib import import_module

import numpy as np

from experiments.training_io.clients import stores
from experiments.training_io.data import many_files, samples
from experiments.training_io.data.many_files import SAMPLE_BYTES

LAYOUTS = ("objects", "shards", "index")
PER_SHARD = 1000
INDEX, DATA = "index.bin", "data.bin"


def make(folder, layout, count):
    """Write `count` samples of `SAMPLE_BYTES` each in the given layout."""
    if layout == "objects":
        many_files.make(folder, count)
        return
    folder.mkdir(parents=True)
    body = b"".join(samples.content(number, SAMPLE_BYTES) for number in range(count))
    if layout == "index":
        (folder / DATA).write_bytes(body)
        (folder / INDEX).write_bytes(
            (np.arange(count + 1, dtype=np.uint64) * SAMPLE_BYTES).tobytes()
        )
        return
    step = PER_SHARD * SAMPLE_BYTES
    for number, start in enumerate(range(0, len(body), step)):
        (folder / f"{number:05d}.shard").write_bytes(body[start : start + step])


def first(store, layout, batch, seed):
    """Find the samples and read the first batch.

    Return (seconds until the samples are known, seconds until the batch, the names or the number of
    samples in the index, the numbers that were chosen, the numbers in the samples that came).
    """
    random = np.random.default_rng(seed)
    # NumPy initialises itself in the first call, which would count as waiting below.
    random.choice(batch, batch, replace=False)
    begin = time.perf_counter()
    if layout == "index":
        offsets = np.frombuffer(store.get(INDEX), "<u8")
        names, count = [], len(offsets) - 1
    else:
        names = store.list()
        count = len(names)
    listed = time.perf_counter()
    chosen = random.choice(count, min(batch, count), replace=False).tolist()
    if layout == "objects":
        read = [store.get(names[number]) for number in chosen]
    elif layout == "index":
        read = [
            store.get_range(DATA, int(offsets[n]), int(offsets[n + 1] - offsets[n])) for n in chosen
        ]
    else:
        shard = store.get(names[chosen[0]])
        chosen = [chosen[0] * PER_SHARD + place for place in range(batch)]
        read = [
            shard[start : start + SAMPLE_BYTES]
            for start in range(0, batch * SAMPLE_BYTES, SAMPLE_BYTES)
        ]
    numbers = [samples.check(data) for data in read]
    done = time.perf_counter()
    known = count if layout == "index" else names
    return listed - begin, done - begin, known, chosen, numbers


def written(layout, count):
    """Return what `first` must find in a data set: the names, or the index's number of samples."""
    if layout == "objects":
        return [many_files.name(number) for number in range(count)]
    return (
        [f"{number:05d}.shard" for number in range(-(-count // PER_SHARD))]
        if layout == "shards"
        else count
    )


def is_written(listed, layout, count):
    """Return whether `first` has found what `written` says, without holding ten million names."""
    if layout != "objects":
        return bool(listed == written(layout, count))
    expected = map(many_files.name, range(count))
    return len(listed) == count and all(map(operator.eq, listed, expected))


def main(text):
    plan = json.loads(text)
    layout, count, ask = plan["layout"], plan["samples"], (plan["batch"], plan["seed"])
    if plan["store"]["kind"] == "nfs":
        import_module("nfs_rs")  # otherwise the store imports it within the timed run
    if plan["warm"] == "names":
        with os.scandir(plan["store"]["folder"]) as entries:
            collections.deque(entries, maxlen=0)
    elif plan["warm"]:
        with closing(stores.open_store(plan["store"])) as store:
            first(store, layout, *ask)
    with closing(stores.open_store(plan["store"])) as store:
        listing_s, first_s, listed, chosen, numbers = first(store, layout, *ask)
    if not is_written(listed, layout, count):
        raise SystemExit(
            f"what was found is not what was written: {layout} of {count} samples, "
            f"{str(listed)[:200]} ..."
        )
    distinct = plan.get("distinct") or count
    if len(set(chosen)) != plan["batch"] or numbers != [n % distinct for n in chosen]:
        raise SystemExit(f"the first batch was {numbers}, and {chosen} of {count} were chosen")
    print(
        json.dumps(
            {
                "listing_ms": 1e3 * listing_s,
                "first_batch_ms": 1e3 * first_s,
                "requests": store.requests,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
