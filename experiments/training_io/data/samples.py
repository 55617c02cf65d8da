"""Training samples: their sizes, their contents, and the check of their bytes.

A sample is a header of 16 bytes (XXH3 of the rest, number of the sample), followed by
incompressible bytes. The seed determines sizes and contents, so that a data set is the same on
every machine and has one digest.
"""

import struct
from dataclasses import dataclass

import numpy as np

from experiments.systems import optional

xxhash = optional.module("xxhash")

HEADER = struct.Struct("<QQ")
LEAST_BYTES = 64
POOL_BYTES = 1 << 20
_pools: dict = {}


class WrongSample(RuntimeError):
    """A sample's bytes differ from the written bytes."""


@dataclass(frozen=True)
class Workload:
    """A training step's demand on storage.

    Sizes of samples are normal, with mean `sample_bytes` and deviation `stdev_bytes`. Each step
    reads `batch` samples and emulates `compute_s` of computation. `threshold` is the utilisation
    that MLPerf Storage requires. `scaled_by` says how the workload differs from the published one.
    """

    name: str
    sample_bytes: int
    stdev_bytes: int
    batch: int
    compute_s: float
    threshold: float
    scaled_by: str = "as published"

    @property
    def demand_mb_s(self):
        """The rate in MB/s at which one accelerator reads if it never waits."""
        return self.sample_bytes * self.batch / self.compute_s / 1e6

    def scaled(self, *, sample=1, batch=None, demand=1.0):
        """Return the workload scaled down.

        Samples shrink to 1/`sample` of their size, each step reads `batch` of them, and the rate of
        bytes becomes `demand` times the published rate. The computation per step follows from
        these three.
        """
        size, count = self.sample_bytes // sample, batch or self.batch
        compute_s = size * count / (demand * self.sample_bytes * self.batch / self.compute_s)
        how = f"samples 1/{sample}, batch {self.batch} to {count}, bytes per second x {demand:g}"
        return Workload(
            self.name, size, self.stdev_bytes // sample, count, compute_s, self.threshold, how
        )


# One emulated H100 with the parameters published for MLPerf Storage v2.0 (github.com/mlcommons/
# storage, configs/dlio/workload/*_h100.yaml: record_length_bytes, its stdev, batch_size,
# computation_time, metric.au). Measurements with them are no MLPerf results.
PUBLISHED = {
    "unet3d": Workload("unet3d", 146_600_628, 68_341_808, 7, 0.323, 0.90),
    "resnet50": Workload("resnet50", 114_660, 0, 400, 0.224, 0.90),
    "cosmoflow": Workload("cosmoflow", 2_828_486, 71_311, 1, 0.00350, 0.70),
}

# Each workload demands about 400 MB/s, because two cores can serve and read that much at once. This
# is two of the published accelerators for resnet50, half of one for cosmoflow, and an eighth of one
# for unet3d. A step computes for more than 20 ms, against which the lateness of a sleep is small.
SCALED = {
    "unet3d": PUBLISHED["unet3d"].scaled(sample=64, batch=4, demand=1 / 8),
    "resnet50": PUBLISHED["resnet50"].scaled(batch=80, demand=2),
    "cosmoflow": PUBLISHED["cosmoflow"].scaled(batch=3, demand=1 / 2),
}


def sizes(workload, count, seed):
    """Return the sizes in bytes of `count` samples.

    They are normal, clipped at `LEAST_BYTES` and at three standard deviations.
    """
    drawn = np.random.default_rng(seed).normal(workload.sample_bytes, workload.stdev_bytes, count)
    reach = 3 * workload.stdev_bytes
    bounded = np.clip(
        drawn, max(LEAST_BYTES, workload.sample_bytes - reach), workload.sample_bytes + reach
    )
    return bounded.astype(np.int64)


def content(number, size, seed=0):
    """Return the bytes of sample `number`. Raises `ValueError` if `size` is below the header's."""
    if size < HEADER.size:
        raise ValueError(
            f"a sample of {size} B has no room for its header; use at least {HEADER.size} B"
        )
    rest = struct.pack("<Q", number) + _filling(number, size - HEADER.size, seed)
    return struct.pack("<Q", xxhash.xxh3_64_intdigest(rest)) + rest


def check(data):
    """Return the number of the sample in `data`. Raises `WrongSample` if its bytes have changed."""
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
    """Return `size` bytes from a pool of random bytes, starting at another place per sample."""
    if seed not in _pools:
        _pools[seed] = np.random.default_rng([seed, 0x706F6F6C]).bytes(POOL_BYTES)
    pool, start = _pools[seed], number * 7919 % POOL_BYTES
    if start + size <= POOL_BYTES:
        return pool[start : start + size]
    return (pool[start:] + pool * (size // POOL_BYTES + 1))[:size]
