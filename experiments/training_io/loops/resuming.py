"""The time until a loader that starts anew stands where it stood, and has its next batch.

    python -m experiments.training_io.loops.resuming \
        '{"store": {...}, "layout": {...}, "tries": [["buffer", "skip"], ...], ...}'

`skip` starts the stream at that sample; `replay` reads the epoch from its beginning and drops what
was seen, as a loader without state must. Connecting counts, as on a node that takes the place of
one that failed. It prints a JSON array, with an object for each of the tries.
"""

import json
import sys
import time
from contextlib import closing
from importlib import import_module
from itertools import islice

from experiments.training_io.clients import stores
from experiments.training_io.data import samples
from experiments.training_io.loops.shuffles import Layout, same_shard_share, stream

METHODS = ("skip", "replay")


class Nothing:
    """A store that returns zeros: a stream over it tells the order of the numbers."""

    def get_range(self, name, start, length):
        return bytes(length)


def resume(store, layout, shuffle, method, start, batch, seed):
    """Return (seconds, numbers) of the batch that follows the sample `start`."""
    begin = time.perf_counter()
    if method == "skip":
        coming = stream(store, layout, shuffle, seed, start)
    else:
        coming = islice(stream(store, layout, shuffle, seed), start, None)
    group = list(islice(coming, batch))
    took = time.perf_counter() - begin
    for number, data in group:
        if samples.check(data) != number:
            raise SystemExit(f"sample {number} holds another one; the data set is not as written")
    return took, [number for number, _ in group]


def main(text):
    plan = json.loads(text)
    if plan["store"]["kind"] == "nfs":
        import_module("nfs_rs")  # otherwise the store imports it within the timed run
    print(json.dumps([tried(plan, *names) for names in plan["tries"]]))


def tried(plan, shuffle, method):
    """Return what it costs a loader with a new connection to resume, as `main` reports it."""
    layout = Layout(**plan["layout"])
    start, batch, seed = plan["start"], plan["batch"], plan["seed"]
    order = [number for number, _ in stream(Nothing(), layout, shuffle, seed)]
    with closing(stores.open_store(plan["store"])) as store:
        took, numbers = resume(store, layout, shuffle, method, start, batch, seed)
        result = {"requests": store.requests, "bytes": store.bytes}
    if numbers != order[start : start + batch]:
        raise SystemExit(f"after sample {start} of a {shuffle} shuffle came {numbers[:5]} ...")
    share = same_shard_share(order, layout, batch)
    return {**result, "resume_ms": 1e3 * took, "same_shard_share": share}


if __name__ == "__main__":
    main(sys.argv[1])
