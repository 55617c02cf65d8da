"""Real data loaders, each reading a small corpus for some epochs. `record` watches what they read.

    python -m experiments.caching.recorders.loaders make LOADER FOLDER SEED
    python -m experiments.caching.recorders.loaders read LOADER FOLDER SEED EPOCHS

Each needs its own package, which this project does not lock; the program names what is missing. One
process reads, without workers, so that the order of reads is the loader's own.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.caching.recorders import corpora, mapped, megatron

SEQUENCE, BLENDED_SAMPLES = 2_048, 4_000
# Samples that MosaicML's shuffles mix with one another. By default a block is larger than our
# corpus, and both would shuffle it whole.
MDS_BLOCK = 1_024


@dataclass(frozen=True)
class Loader:
    """How to make a loader's corpus, and how to read it: `make(folder, seed)`, `read(folder, seed,
    epochs)`. `needs` is {module: package to install}. If it maps files into memory, system calls do
    not show what it reads, and it prints that itself (`prints_reads`). `epochs` are read by
    default.
    """

    make: Callable
    read: Callable
    needs: dict[str, str]
    epochs: int = 4
    prints_reads: bool = False


def megatron_blend(folder, seed, epochs):
    """Read blended samples, as Megatron reads its `.bin` files without memory maps."""
    names, weights = list(corpora.BLEND), [share for _, share in corpora.BLEND.values()]
    lengths = [corpora.document_lengths(seed, name) for name in names]
    counts = [int(np.ceil(np.ceil(BLENDED_SAMPLES * w) * 1.005)) for w in weights]
    orders = [
        megatron.order(of, samples, SEQUENCE, seed)
        for of, samples in zip(lengths, counts, strict=True)
    ]
    opened = [os.open(Path(folder) / f"{name}.bin", os.O_RDONLY) for name in names]
    for corpus, place in zip(*megatron.blend(weights, BLENDED_SAMPLES), strict=True):
        chosen = orders[corpus]
        for offset, size in megatron.reads(chosen, lengths[corpus], chosen.shuffled[place]):
            if len(os.pread(opened[corpus], size, offset)) != size:
                raise ValueError(f"{names[corpus]}.bin is shorter than {offset + size} bytes")


def distributed_sampler(folder, seed, epochs):
    """Read one file per sample, as rank 0 of 4 of PyTorch's DistributedSampler."""
    from torch.utils.data import DataLoader, Dataset, DistributedSampler

    class Files(Dataset):
        def __len__(self):
            return corpora.SAMPLES

        def __getitem__(self, number):
            path = Path(folder) / f"{number:06d}.tokens"
            with open(path, "rb", buffering=0) as file:
                return np.frombuffer(file.readall(), np.uint16).astype(np.int32)

    sampler = DistributedSampler(Files(), num_replicas=4, rank=0, shuffle=True, seed=seed)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for _ in DataLoader(Files(), batch_size=8, sampler=sampler):
            pass


def hugging_face(folder, seed, epochs):
    """Read rows of a memory-mapped data set of `datasets`, shuffled anew in each epoch."""
    import datasets

    rows = datasets.load_from_disk(str(Path(folder) / "rows"))
    for epoch in range(epochs):
        shuffled = rows.shuffle(seed=seed + epoch)
        with mapped.printing(folder):
            for number in range(len(shuffled)):
                shuffled[number]


def webdataset(folder, seed, epochs):
    """Read tar shards in a random order, through a shuffle buffer of 200 samples."""
    import webdataset as wds

    shards = [str(path) for path in sorted(Path(folder).glob("*.tar"))]
    data = wds.WebDataset(shards, shardshuffle=len(shards), seed=seed).shuffle(200)
    for _ in range(epochs):
        for _sample in data:
            pass


def grain(folder, seed, epochs):
    """Read an ArrayRecord file in the order of Grain's index sampler."""
    import grain.python as pygrain

    source = pygrain.ArrayRecordDataSource(str(Path(folder) / "samples.array_record"))
    sampler = pygrain.IndexSampler(
        num_records=len(source),
        shard_options=pygrain.NoSharding(),
        shuffle=True,
        num_epochs=epochs,
        seed=seed,
    )
    for _sample in pygrain.DataLoader(data_source=source, sampler=sampler, worker_count=0):
        pass


def mds(algorithm):
    """Return a reader of MDS shards in the order of one of MosaicML Streaming's shuffles."""

    def read(folder, seed, epochs):
        import streaming

        data = streaming.StreamingDataset(
            local=str(folder),
            batch_size=8,
            shuffle=True,
            shuffle_algo=algorithm,
            shuffle_seed=seed,
            shuffle_block_size=MDS_BLOCK,
            num_canonical_nodes=1,
        )
        for _ in range(epochs):
            for _sample in data:
                pass

    return read


def litdata(folder, seed, epochs):
    """Read LitData's chunks in the order of its shuffle."""
    from litdata import StreamingDataset

    data = StreamingDataset(str(folder), shuffle=True, seed=seed)
    with mapped.printing_items():
        for epoch in range(epochs):
            data.set_epoch(epoch)
            for _sample in data:
                pass


STREAMING = {"torch": "torch", "streaming": "mosaicml-streaming"}
LOADERS = {
    "megatron": Loader(corpora.megatron, megatron_blend, {}, epochs=1),
    "distributed_sampler": Loader(
        corpora.files, distributed_sampler, {"torch": "torch"}, epochs=16
    ),
    "hugging_face": Loader(corpora.arrow, hugging_face, {"datasets": "datasets"}, 4, True),
    "webdataset": Loader(corpora.tars, webdataset, {"webdataset": "webdataset"}),
    "grain": Loader(
        corpora.array_records, grain, {"grain": "grain", "array_record": "array-record"}
    ),
    "mds_py1e": Loader(corpora.mds, mds("py1e"), STREAMING),
    "mds_py1br": Loader(corpora.mds, mds("py1br"), STREAMING),
    "litdata": Loader(
        corpora.litdata_chunks, litdata, {"torch": "torch", "litdata": "litdata"}, 4, True
    ),
}


def missing(name):
    """Return the packages that a loader lacks in this Python."""
    needs = LOADERS[name].needs
    return [package for module, package in needs.items() if not importlib.util.find_spec(module)]


def main(action, name, folder, seed, epochs="1"):
    if lacking := missing(name):
        sys.exit(
            f"{name} needs {', '.join(lacking)}, which this project does not lock; "
            f"install it into a Python of its own: pip install {' '.join(lacking)}"
        )
    if action == "make":
        LOADERS[name].make(folder, int(seed))
    else:
        LOADERS[name].read(folder, int(seed), int(epochs))


if __name__ == "__main__":
    main(*sys.argv[1:])
