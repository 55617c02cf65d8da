"""Tokens in Megatron-LM's indexed data set: a .bin file of sequences, and an .idx that finds them.

The index has a magic number and a version, the code of the tokens' type, the numbers of sequences
and documents, and then the length in tokens and the offset in bytes of each sequence. The loader
reads it once, and each sequence by a ranged request. (megatron/core/datasets/indexed_dataset.py)
"""

import struct

import numpy as np

from experiments.training_io.data.formats.shards import WrongFile

DATA, INDEX = "tokens.bin", "tokens.idx"
MAGIC, VERSION, UINT16 = b"MMIDIDX\0\0", 1, 8
HEAD = struct.Struct("<9sQBQQ")
TOKEN_BYTES = 2


def write(folder, samples, per_shard):
    lengths = []
    with open(folder / DATA, "wb") as file:
        for sample in samples:
            if len(sample) % TOKEN_BYTES:
                raise ValueError(f"a sequence of {len(sample)} B is no whole number of tokens")
            file.write(sample)
            lengths.append(len(sample) // TOKEN_BYTES)
    counts = np.array(lengths, "<i4")
    ends = np.cumsum(counts, dtype="<i8") * TOKEN_BYTES
    starts = ends - counts * TOKEN_BYTES
    documents = np.arange(len(lengths) + 1, dtype="<i8")
    head = HEAD.pack(MAGIC, VERSION, UINT16, len(lengths), len(documents))
    index = head + counts.tobytes() + starts.tobytes() + documents.tobytes()
    (folder / INDEX).write_bytes(index)


def units(store):
    """Return (offset, bytes) of each sequence, from the index."""
    index = bytes(store.get(INDEX))
    if len(index) < HEAD.size:
        raise WrongFile(f"{INDEX} ends within its head, at byte {len(index)}")
    magic, version, code, count, _ = HEAD.unpack_from(index)
    if (magic, version, code) != (MAGIC, VERSION, UINT16):
        raise WrongFile(f"{INDEX} is of another form than version {VERSION} with tokens of 2 B")
    if len(index) < HEAD.size + 12 * count:
        raise WrongFile(f"{INDEX} names {count} sequences, and ends before the last of them")
    lengths = np.frombuffer(index, "<i4", count, HEAD.size) * TOKEN_BYTES
    starts = np.frombuffer(index, "<i8", count, HEAD.size + 4 * count)
    return list(zip(starts.tolist(), lengths.tolist(), strict=True))


def read(store, unit):
    start, length = unit
    return [store.get_range(DATA, start, length)]
