"""What stands before the first batch: finding out which samples there are, and opening the first ones.

    python -m experiments.workloads.first_batch '{"store": {...}, "layout": "objects", "samples": 1000, "batch": 32, ...}'

Layouts of the same number of samples: `objects`, one object each, found by listing; `shards`, many samples an object,
found by listing and read whole; `index`, one object that says where in another each sample begins.
"""

import json
import sys
import time

import numpy as np

from experiments.workloads import samples, stores

LAYOUTS = ("objects", "shards", "index")
SAMPLE_BYTES = 64
PER_SHARD = 1000
INDEX, DATA = "index.bin", "data.bin"


def make(folder, layout, count):
    """Write `count` samples of `SAMPLE_BYTES` in a layout."""
    folder.mkdir(parents=True)
    if layout == "objects":
        for number in range(count):
            (folder / f"{number:07d}").write_bytes(samples.content(number, SAMPLE_BYTES))
        return
    body = b"".join(samples.content(number, SAMPLE_BYTES) for number in range(count))
    if layout == "index":
        (folder / DATA).write_bytes(body)
        (folder / INDEX).write_bytes((np.arange(count + 1, dtype=np.uint64) * SAMPLE_BYTES).tobytes())
        return
    step = PER_SHARD * SAMPLE_BYTES
    for number, start in enumerate(range(0, len(body), step)):
        (folder / f"{number:05d}.shard").write_bytes(body[start : start + step])


def first(store, layout, batch, seed):
    """Find the samples and read the first batch. Return (seconds to find them, seconds to the batch, how many objects
    were found, the samples' numbers)."""
    begin = time.perf_counter()
    if layout == "index":
        offsets = np.frombuffer(store.get(INDEX), "<u8")
        found = len(offsets) - 1
    else:
        names = store.list()
        found = len(names)
    listed = time.perf_counter()
    chosen = np.random.default_rng(seed).choice(found, min(batch, found), replace=False).tolist()
    if layout == "objects":
        read = [store.get(names[number]) for number in chosen]
    elif layout == "index":
        read = [store.get_range(DATA, int(offsets[n]), int(offsets[n + 1] - offsets[n])) for n in chosen]
    else:
        shard = store.get(names[chosen[0]])
        read = [shard[start : start + SAMPLE_BYTES] for start in range(0, batch * SAMPLE_BYTES, SAMPLE_BYTES)]
    numbers = [samples.check(data) for data in read]
    done = time.perf_counter()
    return listed - begin, done - begin, found, numbers


def main(text):
    asked = json.loads(text)
    store = stores.open_store(asked["store"])
    listing_s, first_s, found, numbers = first(store, asked["layout"], asked["batch"], asked["seed"])
    wanted = asked["samples"] // PER_SHARD if asked["layout"] == "shards" else asked["samples"]
    if found != wanted or len(set(numbers)) != asked["batch"] or max(numbers) >= asked["samples"]:
        raise SystemExit(f"{found} entries were found, {wanted} were written; the first batch was {numbers}")
    print(json.dumps({"listing_ms": 1e3 * listing_s, "first_batch_ms": 1e3 * first_s, "found": found,
                      "requests": store.requests, "bytes": store.bytes}))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
