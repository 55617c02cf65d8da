"""MDS shards of MosaicML Streaming, whose table of offsets allows random reads of single samples.

The layout follows the library's own encoder (mosaicml/streaming, base/format/mds/writer.py). A
shard has the number of samples, their offsets (both uint32), a JSON description of the columns, and
the samples. A sample has the size (uint32) of each column of variable size, and then the columns'
bytes. `index.json` lists the shards. Nothing is compressed. The library itself needs PyTorch, so
this project has its own reader and writer.
"""

import json

import numpy as np

from experiments.training_io.data.formats.shards import WrongFile, shards

COLUMN, VERSION = "sample", 2
SIZE_LIMIT = 1 << 26


def write(folder, samples, per_shard):
    listed = []
    for number, group in enumerate(shards(samples, per_shard)):
        name, data = f"shard.{number:05d}.mds", encode(group)
        (folder / name).write_bytes(data)
        raw = {"basename": name, "bytes": len(data), "hashes": {}}
        listed.append(
            {
                **_config(),
                "raw_data": raw,
                "samples": len(group),
                "version": VERSION,
                "zip_data": None,
            }
        )
    (folder / "index.json").write_text(
        json.dumps({"shards": listed, "version": VERSION}, sort_keys=True)
    )


def encode(group):
    """Return the bytes of a shard of these samples."""
    config = json.dumps(_config(), sort_keys=True).encode()
    encoded = [np.uint32(len(sample)).tobytes() + sample for sample in group]
    offsets = np.cumsum(
        [4 + 4 * (len(group) + 1) + len(config), *map(len, encoded)], dtype=np.uint64
    )
    if offsets[-1] >= 1 << 32:
        raise ValueError(
            f"a shard of {offsets[-1]} B is too large for offsets of 32 bits; write smaller shards"
        )
    return b"".join(
        [np.uint32(len(group)).tobytes(), offsets.astype(np.uint32).tobytes(), config, *encoded]
    )


def _config():
    return {
        "column_encodings": ["bytes"],
        "column_names": [COLUMN],
        "column_sizes": [None],
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": SIZE_LIMIT,
    }


def units(store):
    index = json.loads(store.get("index.json"))
    return [
        (shard["raw_data"]["basename"], at)
        for shard in index["shards"]
        for at in range(shard["samples"])
    ]


def read(store, unit):
    name, at = unit
    offsets = _offsets(store, name)
    if at + 1 >= len(offsets):
        raise WrongFile(f"{name} has {len(offsets) - 1} samples, and the index lists number {at}")
    data = store.get_range(name, int(offsets[at]), int(offsets[at + 1] - offsets[at]))
    (size,) = np.frombuffer(data[:4], "<u4")
    if size != len(data) - 4:
        raise WrongFile(f"sample {at} of {name} says {size} B and has {len(data) - 4}")
    return [memoryview(data)[4:]]


def _offsets(store, name):
    """Return a shard's table of offsets, read once, with two requests."""
    key = ("mds", name)
    if key not in store.opened:  # if two readers both read the table, either copy is right
        (count,) = np.frombuffer(store.get_range(name, 0, 4), "<u4")
        store.opened[key] = np.frombuffer(store.get_range(name, 4, 4 * (int(count) + 1)), "<u4")
    return store.opened[key]
