"""Parquet by pyarrow: one binary column, in row groups that ranged requests read separately."""

import io
import threading

import pyarrow as pa
import pyarrow.parquet as pq

from experiments.training_io.data.formats.shards import shards

ROWS_PER_GROUP = 8
SCHEMA = pa.schema([("sample", pa.binary())])


def write(folder, samples, per_shard):
    for number, group in enumerate(shards(samples, per_shard)):
        table = pa.table({"sample": pa.array(group, pa.binary())}, schema=SCHEMA)
        name = folder / f"{number:05d}.parquet"
        pq.write_table(
            table, name, row_group_size=ROWS_PER_GROUP, compression="none", use_dictionary=False
        )


def units(store):
    names = [name for name in store.list() if name.endswith(".parquet")]
    return [(name, group) for name in names for group in range(_file(store, name).num_row_groups)]


def read(store, unit):
    name, group = unit
    column = _file(store, name).read_row_group(group, use_threads=False).column("sample")
    return [value.as_buffer() for value in column]


def _file(store, name):
    """Return the open file. Each thread keeps its files open, and so reads each footer once."""
    key = ("parquet", threading.get_ident(), name)
    if key not in store.opened:
        store.opened[key] = pq.ParquetFile(
            pa.PythonFile(Ranged(store, name), mode="r"), pre_buffer=True
        )
    return store.opened[key]


class Ranged(io.RawIOBase):
    """A file-like view of an object; each read is one ranged request."""

    def __init__(self, store, name):
        self._store, self._name, self._size, self._place = store, name, store.size(name), 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def size(self):
        return self._size

    def tell(self):
        return self._place

    def seek(self, offset, whence=io.SEEK_SET):
        self._place = (
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        )
        return self._place

    def read(self, count=-1):
        left = self._size - self._place
        count = left if count is None or count < 0 else min(count, left)
        data = self._store.get_range(self._name, self._place, count) if count else b""
        self._place += len(data)
        return data
