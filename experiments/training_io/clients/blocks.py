"""A file of numbered 4 KiB blocks, with which a reader can check that it got the right block."""

import numpy as np

BLOCK = 4096


class WrongBlock(RuntimeError):
    """A block differs from the requested block."""


def make(path, mib, seed=7):
    """Write `mib` MiB of random blocks, each with its number in its first and last eight bytes."""
    words = np.random.default_rng(seed).integers(0, 1 << 63, (256, BLOCK // 8), dtype=np.int64)
    with open(path, "wb") as file:
        for first in range(0, mib * 256, 256):
            words[:, 0] = words[:, -1] = np.arange(first, first + 256)
            file.write(words.tobytes())


def check(data, number):
    """Raise `WrongBlock` unless `data` is all of block `number`."""
    ends = (int.from_bytes(data[:8], "little"), int.from_bytes(data[-8:], "little"))
    if len(data) != BLOCK or ends != (number, number):
        raise WrongBlock(
            f"block {number} was asked for; {len(data)} B came that begin as block {ends[0]} "
            f"and end as {ends[1]}"
        )
