"""File formats of training data. Each is a module with three functions:

    write(folder, samples, per_shard)    make the files from an iterable of samples (bytes)
    units(store)                         list the units of reading: files, row groups, or samples
    read(store, unit)                    fetch one unit and return its samples (bytes), decoded

`store` is a store of `experiments.training_io.clients.stores`; names are relative to it. Formats
read every byte through it, so that it counts requests and bytes alike for all of them.
"""

from types import ModuleType

NAMES = ("npy", "tfrecord", "parquet", "webdataset", "mds")  # of samples of any kind
TOKENS = "tokens"  # of sequences only


def load(name: str) -> ModuleType:
    """Return the module of a format. Raises `ValueError` for an unknown one."""
    if name not in (*NAMES, TOKENS):
        raise ValueError(f'format "{name}" not found (there are: {", ".join((*NAMES, TOKENS))})')
    # Import only the requested format, because their libraries take long to import.
    if name == "npy":
        from experiments.training_io.data.formats import npy_format

        return npy_format
    if name == "tfrecord":
        from experiments.training_io.data.formats import tfrecord_format

        return tfrecord_format
    if name == "parquet":
        from experiments.training_io.data.formats import parquet_format

        return parquet_format
    if name == "webdataset":
        from experiments.training_io.data.formats import webdataset_format

        return webdataset_format
    if name == TOKENS:
        from experiments.training_io.data.formats import tokens_format

        return tokens_format
    from experiments.training_io.data.formats import mds_format

    return mds_format
