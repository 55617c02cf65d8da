"""Batches of GETs, and several readers at the same time."""

import importlib.util
import os
import shutil
from types import SimpleNamespace

import pytest

from experiments.rdma.multi_get.experiment import experiment

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("libucx")
    or not shutil.which("cc")
    or len(os.sched_getaffinity(0)) < 2,
    reason="needs the libucx wheel, a C compiler and two CPUs",
)


@pytest.mark.parametrize("path, keys, readers", [
    ("cached", 16, 2), ("lookup", 256, 1), ("message", 16, 8), ("together", 64, 1),
])  # fmt: skip
def test_every_key_of_every_reader_is_right(host, binary, path, keys, readers):
    [cell] = [
        cell for cell in experiment.cells("full")
        if (cell.path, cell.fabric, cell.keys, cell.readers) == (path, "posix", keys, readers)
        and not cell.twin
    ]  # fmt: skip
    counts = SimpleNamespace(gets=1024, milliseconds=60_000)
    site = SimpleNamespace(server=host, client=host, seed=7, programs=binary.parent, counts=counts)
    [seen] = experiment._trial(cell, site)
    batches = 1024 // keys
    assert seen["right_reads"] == batches * keys * readers
    assert len(seen["latency_us"]) == batches * readers
    expected = {"message": 1.0, "together": 1 / keys}.get(path, 0.0)
    assert seen["messages_per_get"] == pytest.approx(expected)
    assert seen["server_cpu_us_per_get"] >= 0 and seen["gets_per_s"] > 0
