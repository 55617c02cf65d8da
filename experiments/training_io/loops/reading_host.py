"""A host that reads for a training job: it answers each request for samples with what it read.

    python -m experiments.training_io.loops.reading_host \\
        '{"store": {...}, "name": "data", "count": 1024, "size": 4096, "seed": 1}'

A request is a line on standard input, a JSON array of places in the epoch; the order of the epoch
follows from the seed, so that a host needs no other state. The answer is a line with the numbers of
the samples, after their digests were checked. Its first line says that it is ready.
"""

import json
import sys
from contextlib import closing

import numpy as np

from experiments.training_io.clients import stores
from experiments.training_io.data import samples


def epoch(seed: int, count: int) -> list[int]:
    """Return the numbers of all samples in the order of the epoch."""
    order: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    return order


def main(text):
    plan = json.loads(text)
    order, name, size = epoch(plan["seed"], plan["count"]), plan["name"], plan["size"]
    with closing(stores.open_store(plan["store"])) as store:
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            numbers = []
            for place in json.loads(line):
                data = store.get_range(name, order[place] * size, size)
                numbers.append(samples.check(bytes(data)))
            print(json.dumps(numbers), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
