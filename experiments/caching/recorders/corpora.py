"""Small synthetic corpora, exact from their seeds, in the formats that training data has."""

import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np

SAMPLES, TOKENS = 4_096, 2_048  # samples of the corpora that have samples, and tokens in each
UINT16 = 8  # the code of the type in Megatron's index
# Megatron's corpora: name to (documents, share of the blend). Of the first, half an epoch is read.
BLEND = {"web": (8_000, 0.6), "books": (1_400, 0.3), "code": (180, 0.1)}


def sample(seed, number):
    """Return the tokens of one sample, uint16."""
    return np.random.default_rng([seed, number]).integers(0, 50_000, TOKENS, dtype=np.uint16)


def document_lengths(seed, corpus):
    """Return the lengths of a corpus's documents in tokens: log-normal, about a thousand."""
    count, number = BLEND[corpus][0], list(BLEND).index(corpus)
    drawn = np.random.default_rng([seed, number]).lognormal(6.4, 1.0, count)
    return np.maximum(1, drawn).astype(np.int32)


def megatron(folder, seed):
    """Write CORPUS.bin and CORPUS.idx for each corpus of the blend."""
    for number, name in enumerate(BLEND):
        lengths = document_lengths(seed, name)
        tokens = np.random.default_rng([seed, number, 1]).integers(
            0, 50_000, int(lengths.sum()), dtype=np.uint16
        )
        tokens.tofile(Path(folder) / f"{name}.bin")
        begins = (np.cumsum(lengths, dtype=np.int64) - lengths) * 2
        with open(Path(folder) / f"{name}.idx", "wb") as index:
            index.write(b"MMIDIDX\x00\x00" + struct.pack("<QB", 1, UINT16))
            index.write(struct.pack("<QQ", len(lengths), len(lengths) + 1))
            for column in (lengths, begins, np.arange(len(lengths) + 1, dtype=np.int64)):
                index.write(column.tobytes())


def files(folder, seed):
    """Write one file per sample."""
    for number in range(SAMPLES):
        (Path(folder) / f"{number:06d}.tokens").write_bytes(sample(seed, number).tobytes())


def tars(folder, seed, per_shard=128):
    """Write shards in WebDataset's format: tar files with one member per sample, and its label."""
    for shard in range(SAMPLES // per_shard):
        with tarfile.open(Path(folder) / f"shard-{shard:04d}.tar", "w") as tar:
            for number in range(shard * per_shard, (shard + 1) * per_shard):
                for kind, data in (
                    ("tokens", sample(seed, number).tobytes()),
                    ("json", json.dumps({"number": number}).encode()),
                ):
                    member = tarfile.TarInfo(f"{number:06d}.{kind}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))


def arrow(folder, seed):
    """Write a data set of Hugging Face's `datasets`: Arrow files that it maps into memory."""
    import datasets

    rows = ({"tokens": sample(seed, number)} for number in range(SAMPLES))
    features = datasets.Features({"tokens": datasets.Sequence(datasets.Value("uint16"))})
    made = datasets.Dataset.from_list(list(rows), features=features)
    made.save_to_disk(str(Path(folder) / "rows"))


def array_records(folder, seed):
    """Write one ArrayRecord file, a group of records being one record."""
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(str(Path(folder) / "samples.array_record"), "group_size:1")
    for number in range(SAMPLES):
        writer.write(sample(seed, number).tobytes())
    writer.close()


def mds(folder, seed, per_shard=128):
    """Write shards in the format of MosaicML Streaming: MDS, one column."""
    from streaming import MDSWriter

    size = per_shard * (2 * TOKENS + 8)  # with an offset for each sample
    with MDSWriter(out=str(folder), columns={"tokens": "bytes"}, size_limit=size) as writer:
        for number in range(SAMPLES):
            writer.write({"tokens": sample(seed, number).tobytes()})


def litdata_chunks(folder, seed, per_chunk=128):
    """Write chunks in the format of LitData, one item per sample."""
    from litdata.streaming import Cache

    cache = Cache(str(folder), chunk_size=per_chunk)
    for number in range(SAMPLES):
        cache[number] = sample(seed, number).tobytes()
    cache.done()
    cache.merge()
