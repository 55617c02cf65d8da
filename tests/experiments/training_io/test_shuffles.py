"""Shuffled streams: every sample once, the same after a restart, and what a restart reads."""

import numpy as np
import pytest

from experiments.training_io.clients import stores
from experiments.training_io.loops.shuffles import SHUFFLES, Layout, same_shard_share, stream

LAYOUT = Layout("data", count=240, size=16, per_shard=20, buffer=50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shuffled")
    body = b"".join(b"%016d" % number for number in range(LAYOUT.count))
    (folder / LAYOUT.name).write_bytes(body)
    return folder


def epoch(folder, shuffle, seed=3, start=0):
    store = stores.MemoryStore(folder)
    return list(stream(store, LAYOUT, shuffle, seed, start)), store


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_an_epoch_has_every_sample_once_in_an_order_of_its_seed(folder, shuffle):
    samples, _ = epoch(folder, shuffle)
    assert sorted(number for number, _ in samples) == list(range(LAYOUT.count))
    assert all(data == b"%016d" % number for number, data in samples)
    assert epoch(folder, shuffle)[0] == samples != epoch(folder, shuffle, seed=4)[0]


@pytest.mark.parametrize("start", [0, 1, 19, 20, 49, 50, 51, 120, 189, 190, 191, 239, 240])
@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_a_restart_goes_on_where_the_epoch_stood(folder, shuffle, start):
    assert epoch(folder, shuffle, start=start)[0] == epoch(folder, shuffle)[0][start:]


# What is read before the first sample after a restart at 120: (shuffle, requests, samples).
COSTS = [("full", 1, 1), ("block", 1, 20), ("buffer", 50 + 1, 50 + 20)]


@pytest.mark.parametrize("shuffle, requests, samples", COSTS)
def test_a_restart_reads_what_the_shuffle_needs(folder, shuffle, requests, samples):
    store = stores.MemoryStore(folder)
    next(stream(store, LAYOUT, shuffle, 3, 120))
    assert (store.requests, store.bytes) == (requests, samples * LAYOUT.size)


def test_a_larger_buffer_shuffles_better_and_a_full_shuffle_best(folder):
    share = {
        shuffle: same_shard_share([n for n, _ in epoch(folder, shuffle)[0]], LAYOUT, 20)
        for shuffle in SHUFFLES
    }
    assert share["block"] == 1.0 > share["buffer"] > share["full"]
    assert share["full"] == pytest.approx(19 / 239, rel=0.3)
    in_order = list(range(LAYOUT.count))
    assert same_shard_share(in_order, LAYOUT, 20) == 1.0
    spread = np.arange(LAYOUT.count).reshape(12, 20).T.ravel().tolist()
    assert same_shard_share(spread, LAYOUT, 12) == 0.0


@pytest.mark.parametrize(
    "shuffle, start, message",
    [("sorted", 0, "full, block, buffer"), ("full", 241, "240 samples"), ("full", -1, "start is")],
)
def test_mistakes_are_refused(folder, shuffle, start, message):
    with pytest.raises(ValueError, match=message):
        stream(stores.MemoryStore(folder), LAYOUT, shuffle, 1, start)
    with pytest.raises(ValueError, match="whole shards"):
        Layout("data", count=10, size=1, per_shard=3, buffer=5)
