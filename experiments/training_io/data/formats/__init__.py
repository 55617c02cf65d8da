"""File formats of training data, each in a module with

    write(folder, samples, per_shard)    make the files from an iterable of samples (bytes)
    units(store)                         list what can be fetched on its own: a file, a row group, a sample
    read(store, unit)                    fetch one unit and return its samples (bytes), decoded

`store` is one of `experiments.training_io.clients.stores`; names are relative to it. Readers see every byte through it, so that
requests and bytes are counted alike for all formats.
"""

NAMES = ("npy", "tfrecord", "parquet", "webdataset", "mds")


def load(name):
    """Return the module of a format. Raises `ValueError` for an unknown one."""
    if name not in NAMES:
        raise ValueError(f'format "{name}" not found (there are: {", ".join(NAMES)})')
    # Each when it is asked for: their libraries take long to import.
    if name == "npy":
        from experiments.training_io.data.formats import npy_format as found
    elif name == "tfrecord":
        from experiments.training_io.data.formats import tfrecord_format as found
    elif name == "parquet":
        from experiments.training_io.data.formats import parquet_format as found
    elif name == "webdataset":
        from experiments.training_io.data.formats import webdataset_format as found
    else:
        from experiments.training_io.data.formats import mds_format as found
    return found


class WrongFile(RuntimeError):
    """A file that does not keep to its format."""


def shards(samples, per_shard):
    """Yield lists of up to `per_shard` samples."""
    group = []
    for sample in samples:
        group.append(sample)
        if len(group) == per_shard:
            yield group
            group = []
    if group:
        yield group
