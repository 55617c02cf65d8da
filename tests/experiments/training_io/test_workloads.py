"""The table of published workloads: its scaling, its sources, and the format of tokens."""

import struct
import tomllib

import numpy as np
import pytest

from experiments.training_io.clients import stores
from experiments.training_io.data import samples, workloads
from experiments.training_io.data.formats import tokens_format
from experiments.training_io.data.formats.shards import WrongFile


@pytest.mark.parametrize("name", list(workloads.ALL))
def test_a_workload_runs_in_published_time_at_a_stated_share_of_its_rate(name):
    workload = workloads.ALL[name]
    entry = tomllib.loads(workloads.TABLE.read_text())[name]
    assert workload.ours.compute_s >= workloads.LEAST_COMPUTE_S
    share = workload.ours.demand_mb_s / workload.published.demand_mb_s
    assert share == pytest.approx(entry["ours"]["demand"], rel=1e-3)
    described = workload.described()
    assert f"x {entry['ours']['demand']:g}" in described["ours"]["scaled_by"]
    assert described["source"] and described["read"] == str(workloads.READ_ON)
    assert workload.ours.threshold == entry["utilisation"]


def test_published_rates_are_those_of_one_accelerator():
    """Of one H100 or B200, in MB/s, from sizes and times of the configurations."""
    known = {"unet3d": 3177, "resnet50": 204.75, "cosmoflow": 808.1, "retinanet": 163.0, "flux": 77}
    for name, rate in known.items():
        assert workloads.ALL[name].published.demand_mb_s == pytest.approx(rate, rel=2e-3)


def test_checkpoints_have_their_published_sizes():
    per_process = {name: c.bytes_per_process / 1e9 for name, c in workloads.CHECKPOINTS.items()}
    assert per_process == pytest.approx(
        dict(llama3_8b=13.1, llama3_70b=14.25, llama3_405b=10.33, llama3_1t=17.58), rel=2e-3
    )


def test_a_step_that_is_too_short_is_refused():
    entry = dict(
        record_bytes=1000,
        stdev_bytes=0,
        batch=10,
        compute_s=0.01,
        utilisation=0.9,
        accelerator="",
        files="",
        source="",
        ours=dict(format="npy", batch=1, demand=1.0, count=1),
    )
    with pytest.raises(ValueError, match=r"a step of fast computes for 1\.0 ms, less than 20 ms"):
        workloads._workload("fast", entry)


# ---- tokens ----


@pytest.fixture
def tokens(tmp_path):
    group = [samples.content(number, 64 + 16 * number) for number in range(5)]
    tokens_format.write(tmp_path, group, 32)
    return tmp_path, group


def test_each_sequence_is_found_by_the_index(tokens):
    folder, group = tokens
    store = stores.FileStore(folder)
    units = tokens_format.units(store)
    assert [tokens_format.read(store, unit) for unit in units] == [[sample] for sample in group]
    assert store.requests == 1 + len(group)


def test_the_index_has_its_published_layout(tokens):
    folder, group = tokens
    index = (folder / "tokens.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0" and struct.unpack_from("<QB", index, 9) == (1, 8)
    assert struct.unpack_from("<QQ", index, 18) == (5, 6)
    lengths = np.frombuffer(index, "<i4", 5, 34)
    starts = np.frombuffer(index, "<i8", 5, 54)
    assert (lengths * 2).tolist() == [len(sample) for sample in group]
    assert starts.tolist() == [0, *np.cumsum(lengths[:-1] * 2).tolist()]
    assert np.frombuffer(index, "<i8", 6, 94).tolist() == list(range(6)) and len(index) == 142


DAMAGE = [
    (lambda index: index[:20], "ends within its head, at byte 20"),
    (lambda index: b"X" + index[1:], "of another form"),
    (lambda index: index[:17] + b"\4" + index[18:], "tokens of 2 B"),
    (lambda index: index[:60], "names 5 sequences, and ends before"),
]


@pytest.mark.parametrize("damage, message", DAMAGE)
def test_a_damaged_index_is_refused(tokens, damage, message):
    folder, _ = tokens
    path = folder / "tokens.idx"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(WrongFile, match=message):
        tokens_format.units(stores.FileStore(folder))


def test_half_a_token_is_refused(tmp_path):
    with pytest.raises(ValueError, match="65 B is no whole number of tokens"):
        tokens_format.write(tmp_path, [samples.content(1, 65)], 32)
