"""What readers of memory-mapped files touch, which system calls do not show.

`datasets` slices its table once per row; a slice names its buffers, their addresses lead to the
file's place in memory, and so to an offset. LitData takes items one by one from a chunk, whose own
table says where each of them lies.
"""

import sys
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np


def maps(folder):
    """Return [(begin, end, offset in the file, path)] of the files below `folder` in memory."""
    listed = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith(str(folder)):
            begin, end = (int(part, 16) for part in fields[0].split("-"))
            listed.append((begin, end, int(fields[2], 16), fields[5]))
    return listed


def ranges(chunk):
    """Yield (address, size) of the values that a list array holds in each of its rows."""
    values = chunk.values
    width = values.type.bit_width // 8
    data = values.buffers()[1]
    offsets = chunk.offsets.to_pylist()
    for begin, end in pairwise(offsets):
        yield data.address + (values.offset + begin) * width, (end - begin) * width


@contextmanager
def printing(folder):
    """Print "PATH OFFSET SIZE" on standard output for each row that `datasets` takes meanwhile."""
    from datasets.formatting import formatting

    before = formatting.query_table
    known: list[tuple[int, int, int, str]] = []

    def printed(table, key, indices=None):
        taken = before(table, key, indices)
        if not known:
            known.extend(maps(folder))
        for chunk in (piece for column in taken.columns for piece in column.chunks):
            for address, size in ranges(chunk):
                _print(known, address, size)
        return taken

    places = [module for module in sys.modules.values() if _has(module, before)]
    for module in places:
        setattr(module, "query_table", printed)  # noqa: B010  (its type has no such attribute)
    try:
        yield
    finally:
        for module in places:
            setattr(module, "query_table", before)  # noqa: B010


@contextmanager
def printing_items():
    """Print "PATH OFFSET SIZE" on standard output for each item that LitData loads meanwhile.

    A chunk begins with the number of its items and the offset of each, and its end, all uint32.
    """
    from litdata.streaming.item_loader import PyTreeLoader

    before = PyTreeLoader.load_item_from_chunk

    def printed(self, index, chunk_index, chunk_filepath, begin, *others, **named):
        item = before(self, index, chunk_index, chunk_filepath, begin, *others, **named)
        table = np.fromfile(chunk_filepath, np.uint32, count=2, offset=4 * (1 + index - begin))
        print(f"{chunk_filepath} {table[0]} {table[1] - table[0]}")
        return item

    PyTreeLoader.load_item_from_chunk = printed
    try:
        yield
    finally:
        PyTreeLoader.load_item_from_chunk = before


def _has(module, function):
    return getattr(module, "query_table", None) is function


def _print(known, address, size):
    for begin, end, offset, path in known:
        if begin <= address < end:
            print(f"{path} {offset + address - begin} {size}")
            return
    raise ValueError(f"the row at address {address:#x} is in no mapped file; it was copied before")
