"""Trace files in libCacheSim's native format `oracleGeneral`, with true next-access times.

Each request is one record, little-endian and unpadded: time (uint32), object (uint64), size
(uint32), and the position of the next request for the same object (int64, -1 for none). Without
a correct last field, Belady's MIN is wrong and says nothing.
"""

import os
from pathlib import Path

import numpy as np

RECORD = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
NEVER = -1


def next_access(ids):
    """Return, per request, the position of the next request for the same object, or `NEVER`."""
    order = np.argsort(ids, kind="stable")
    same = ids[order[1:]] == ids[order[:-1]]
    after = np.full(len(ids), NEVER, np.int64)
    after[order[:-1][same]] = order[1:][same]
    return after


def write(path, ids, chunk=1 << 20):
    """Write the trace to `path`, whole or not at all.

    Every object has size 1, so that a cache of size C holds C objects.
    """
    ids = np.asarray(ids)
    if not len(ids) or ids.min() < 1:
        raise ValueError(
            f"a trace of {len(ids)} requests: it needs one at least, and ids from 1 on"
        )
    if len(ids) > np.iinfo("<u4").max:
        raise ValueError(
            f"{len(ids)} requests: the format's clock has 32 bits; write at most 2^32 - 1"
        )
    after, part = next_access(ids), Path(f"{path}.part")
    try:
        with open(part, "wb") as file:
            for begin in range(0, len(ids), chunk):
                end = min(begin + chunk, len(ids))
                records = np.empty(end - begin, RECORD)
                records["time"], records["id"] = np.arange(begin, end), ids[begin:end]
                records["size"], records["next"] = 1, after[begin:end]
                records.tofile(file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path):
    """Return the records of a trace file. Raises `ValueError` if the file was cut short."""
    size = Path(path).stat().st_size
    if size % RECORD.itemsize:
        raise ValueError(
            f"{Path(path).name}: {size} bytes are no whole number of records "
            f"of {RECORD.itemsize} bytes"
        )
    return np.fromfile(path, RECORD)
