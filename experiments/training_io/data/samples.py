"""Training samples: how large they are, what is in them, and how a reader knows that it got the right bytes.

A sample is 16 bytes of header (XXH3 of the rest, number of the sample) and incompressible bytes. Sizes and contents
follow from the seed alone, so that a data set is the same wherever it is made, and has one digest.
"""

import struct
from dataclasses import dataclass

import numpy as np

try:
    import xxhash
except ModuleNotFoundError:  # no cell that needs it runs then
    xxhash = None

HEADER = struct.Struct("<QQ")
LEAST_BYTES = 64
POOL_BYTES = 1 << 20
_pools = {}


class WrongSample(RuntimeError):
    """A sample whose bytes are not what was written."""


@dataclass(frozen=True)
class Workload:
    """What a training step asks of storage: samples of `sample_bytes` (normal, with `stdev_bytes`), `batch` of them a
    step, `compute_s` of emulated computation a step. `scaled_by` says how it was made from the published one."""

    name: str
    sample_bytes: int
    stdev_bytes: int
    batch: int
    compute_s: float
    threshold: float
    scaled_by: str = "as published"

    @property
    def demand_mb_s(self):
        """What one accelerator takes when it never waits, in MB/s."""
        return self.sample_bytes * self.batch / self.compute_s / 1e6

    def scaled(self, *, sample=1, batch=None, demand=1.0):
        """Return the workload with samples `sample` times as small, `batch` of them a step, and `demand` times the
        published rate of bytes, from which the computation of a step follows."""
        size, count = self.sample_bytes // sample, batch or self.batch
        compute_s = size * count / (demand * self.sample_bytes * self.batch / self.compute_s)
        how = f"samples 1/{sample}, batch {self.batch} to {count}, bytes per second x {demand:g}"
        return Workload(
            self.name, size, self.stdev_bytes // sample, count, compute_s, self.threshold, how
        )


# One emulated H100 with the parameters published for MLPerf Storage v2.0 (github.com/mlcommons/storage,
# configs/dlio/workload/*_h100.yaml: record_length_bytes, its stdev, batch_size, computation_time, metric.au).
# What is measured with them here is no MLPerf result.
PUBLISHED = {
    "unet3d": Workload("unet3d", 146_600_628, 68_341_808, 7, 0.323, 0.90),
    "resnet50": Workload("resnet50", 114_660, 0, 400, 0.224, 0.90),
    "cosmoflow": Workload("cosmoflow", 2_828_486, 71_311, 1, 0.00350, 0.70),
}

# Scaled to steps of less than a millisecond, so that a second holds the thousand steps that a 99th percentile needs,
# and to about 400 MB/s each, of which two cores can serve and read the bytes at the same time (two of the published
# accelerators for resnet50, half of one for cosmoflow, an eighth of one for unet3d).
SCALED = {
    "unet3d": PUBLISHED["unet3d"].scaled(sample=512, batch=1, demand=1 / 8),
    "resnet50": PUBLISHED["resnet50"].scaled(batch=2, demand=2),
    "cosmoflow": PUBLISHED["cosmoflow"].scaled(sample=8, demand=1 / 2),
}


def sizes(workload, count, seed):
    """Return the sizes in bytes of `count` samples: normal, cut at `LEAST_BYTES` and at three standard deviations."""
    drawn = np.random.default_rng(seed).normal(workload.sample_bytes, workload.stdev_bytes, count)
    reach = 3 * workload.stdev_bytes
    bounded = np.clip(
        drawn, max(LEAST_BYTES, workload.sample_bytes - reach), workload.sample_bytes + reach
    )
    return bounded.astype(np.int64)


def content(number, size, seed=0):
    """Return the bytes of sample `number`. Raises `ValueError` when `size` has no room for the header."""
    if size < HEADER.size:
        raise ValueError(
            f"a sample of {size} B has no room for its header; use at least {HEADER.size} B"
        )
    rest = struct.pack("<Q", number) + _filling(number, size - HEADER.size, seed)
    return struct.pack("<Q", xxhash.xxh3_64_intdigest(rest)) + rest


def check(data):
    """Return the number of the sample in `data`. Raises `WrongSample` when its bytes are not what was written."""
    if len(data) < HEADER.size:
        raise WrongSample(f"a sample of {len(data)} B is shorter than its header")
    view = memoryview(data)
    digest, number = HEADER.unpack_from(view)
    if xxhash.xxh3_64_intdigest(view[8:]) != digest:
        raise WrongSample(
            f"sample {number} of {len(data)} B does not have the digest that it was written with"
        )
    return number


def _filling(number, size, seed):
    """Return `size` bytes that differ from sample to sample: a pool of random bytes, entered at another place each."""
    if seed not in _pools:
        _pools[seed] = np.random.default_rng([seed, 0x706F6F6C]).bytes(POOL_BYTES)
    pool, start = _pools[seed], number * 7919 % POOL_BYTES
    if start + size <= POOL_BYTES:
        return pool[start : start + size]
    return (pool[start:] + pool * (size // POOL_BYTES + 1))[:size]
