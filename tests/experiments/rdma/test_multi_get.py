"""Batches of GETs, and several readers at the same time."""

import importlib.util
import json
import os
import shutil
from types import SimpleNamespace

import pytest

from experiments.rdma import store
from experiments.rdma.multi_get import experiment as multi_get

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("libucx")
    or not shutil.which("cc")
    or len(os.sched_getaffinity(0)) < 2,
    reason="needs the libucx wheel, a C compiler and two CPUs",
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder with the experiment's program."""
    folder = tmp_path_factory.mktemp("programs")
    store.build(folder / "store", multi_get.GATED)
    return folder


def measured(host, programs, path, keys, readers, milliseconds=60_000):
    [cell] = [
        cell for cell in multi_get.experiment.cells("full")
        if (cell.path, cell.fabric, cell.keys, cell.readers) == (path, "posix", keys, readers)
        and not cell.twin
    ]  # fmt: skip
    counts = SimpleNamespace(gets=1024, milliseconds=milliseconds)
    site = SimpleNamespace(server=host, client=host, seed=7, programs=programs, counts=counts)
    [seen] = multi_get.experiment._trial(cell, site)
    assert len(set(seen["latency_us"])) > 1 or len(seen["latency_us"]) == 1
    expected = {"message": 1.0, "together": 1 / keys}.get(path, 0.0)
    assert seen["messages_per_get"] == pytest.approx(expected)
    assert seen["server_cpu_us_per_get"] >= 0 and seen["gets_per_s"] > 0
    return seen


@pytest.mark.parametrize("path, keys", [("lookup", 256), ("together", 64)])
def test_every_key_of_a_reader_is_right(host, programs, path, keys):
    seen = measured(host, programs, path, keys, readers=1)
    assert seen["right_reads"] == 1024 and len(seen["latency_us"]) == 1024 // keys


@pytest.mark.parametrize("path, readers, kept", [("cached", 2, 0), ("message", 8, 1)])
def test_every_key_of_several_readers_is_right(host, programs, path, readers, kept):
    """A server that polls keeps a core; one that sleeps leaves it to readers, too."""
    seen = measured(host, programs, path, 16, readers, milliseconds=100)
    assert seen["right_reads"] >= 16 * readers and seen["right_reads"] % 16 == 0
    assert len(seen["latency_us"]) * 16 == seen["right_reads"]
    assert seen["reader_cores"] == len(host.cpus) - kept


def test_readers_begin_together(host, programs):
    """None measures before all are ready: the first waits until the last has come."""
    with store.Server(host, programs / "store", "posix", 4096, 64, waiting="sleep") as server:
        first, last = (
            store.Reader(host, server, programs / "store", "cached", 4096, 64, 100)
            for _ in range(2)
        )
        with first:
            assert json.loads(first.process.read_line(60)) == {"event": "ready"}
            with last:
                last.process.read_line(60)
                assert first.process.poll() is None
                assert first.process.stdout_text().splitlines() == ['{"event":"ready"}']
                host.run(["kill", "-USR1", first.process.pid, last.process.pid])
                assert [each.result()["right"] for each in (first, last)] == [100, 100]


def test_readers_share_the_cores_that_the_server_leaves():
    assert multi_get.cpus_of_readers("sleep", [0, 1, 2]) == [0, 1, 2]
    assert multi_get.cpus_of_readers("poll", [0, 1, 2]) == [1, 2]
    assert multi_get.cpus_of_readers("poll", [0]) == [0]
