"""Write a data set and print its manifest: `... sample_files FOLDER SEED COUNT BYTES`."""

import json
import sys
from pathlib import Path

import numpy as np

from experiments.caching import reference_tier


def content(seed, number, size):
    """Return the bytes of a sample; the same seed and number give the same bytes."""
    return np.random.default_rng([seed, number]).bytes(size)


def main(folder, seed, count, size):
    manifest = {}
    for number in range(int(count)):
        key, data = f"sample-{number:06d}", content(int(seed), number, int(size))
        (Path(folder) / key).write_bytes(data)
        manifest[key] = reference_tier.digest(data)
    print(json.dumps(manifest))


if __name__ == "__main__":
    main(*sys.argv[1:])
