"""NumPy's own files, each with one array of bytes: one file, and so one request, per sample."""

import io
import threading

import numpy as np

from experiments.training_io.data.formats.shards import WrongFile

# NumPy parses a file's header with `ast`, and CPython 3.11 keeps the depth of that parser per
# interpreter: in two threads at once it may raise "AST constructor recursion depth mismatch".
HEADER = threading.Lock()


def write(folder, samples, per_shard):
    for number, sample in enumerate(samples):
        np.save(folder / f"{number:07d}.npy", np.frombuffer(sample, np.uint8))


def units(store):
    return [name for name in store.list() if name.endswith(".npy")]


def read(store, unit):
    file = io.BytesIO(store.get(unit))
    count = _count(file, unit)
    data = file.read()
    if len(data) != count:
        raise WrongFile(f"{unit} has {len(data)} B of the {count} B that its header names")
    return [data]


def _count(file, unit):
    """Read the header and return the number of bytes in the array."""
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("not version 1.0")
        with HEADER:
            (count,), _, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        raise WrongFile(f"the header of {unit} is wrong: {error}") from None
    if dtype != np.uint8:
        raise WrongFile(f"{unit} has an array of {dtype}, not of bytes")
    return count
