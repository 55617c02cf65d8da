"""Reads through libfabric: right bytes, its counters, and whether they need the far side."""

import shutil
from types import SimpleNamespace

import pytest

from benchpaper.core.capabilities import find_capability
from benchpaper.hosts import HostError
from experiments.rdma.libraries import experiment as experiments
from experiments.rdma.libraries import fi_reads
from experiments.systems import libfabric, ucx

CELLS = {cell.id: cell for cell in experiments.experiment.cells("full") if not cell.twin}
THROUGH_LIBFABRIC = [
    cell for cell in CELLS.values() if cell.read in experiments.FI_PATHS and cell.fabric != "rc"
    and cell.into == "host" and cell.size_bytes == 4096
]  # fmt: skip
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The program, with sanitizers."""
    present, detail = find_capability("libfabric").check()
    if not present or not shutil.which("cc"):
        pytest.skip(f"libfabric: {detail}")
    return fi_reads.build(tmp_path_factory.mktemp("libfabric") / "fi_reads", SANITIZE)


@pytest.mark.parametrize("cell", THROUGH_LIBFABRIC, ids=lambda cell: cell.fabric)
def test_every_byte_is_right_and_the_path_is_proved(host, program, cell):
    if cell.fabric == "cma" and not find_capability("cma").check()[0]:
        pytest.skip("cma is not allowed here")
    counts = SimpleNamespace(fast=200, large=3)
    site = SimpleNamespace(server=host, client=host, programs=program.parent, seed=7, counts=counts)
    [seen] = experiments.experiment._trial(cell, site)
    assert 0 < seen["right_reads"] == len(seen["latency_us"]) <= 200
    provider = libfabric.PROVIDERS[cell.fabric].name
    assert provider in seen["transport_used"]
    one_sided = cell.fabric == "cma"  # the kernel copies, whatever the far side does
    assert seen["came_while_frozen"] == (1 if one_sided else 0)


@pytest.fixture
def holder(host, program):
    with fi_reads.Holder(host, program, "tcp", 64, 16) as started:
        yield started


def test_the_death_of_the_holder_is_an_error(host, program, holder):
    ready = [holder.ready[key] for key in ("name", "base", "key")]
    words = [*ready, 100, 5, "host", 1, host.scratch() / "samples"]
    with host.start([program, "measure", *holder.common(host), host.cpus[-1], *words]) as reader:
        reader.read_line(60)
        holder.signal("KILL")
        holder.process.wait(20)
        host.run(["kill", "-USR1", reader.pid])
        assert reader.wait(60) == 1
        assert "fi_reads: a read failed: " in reader.stderr_text(), reader.stderr_text()


@pytest.mark.parametrize("words, says", [
    ([], "fi_reads hold PROVIDER"),
    (["hold", "shm", "", "7", "1", "0"], '"7" is no number from 8'),
    (["hold", "shm", "", "64", "many", "0"], '"many" is no number from 1'),
    (["hold", "nonesuch", "", "64", "1", "0"], "provider nonesuch is not usable here"),
])  # fmt: skip
def test_a_wrong_command_line_is_one_line(host, program, words, says):
    done = host.run([program, *words], check=False)
    assert done.returncode in (1, 2) and says in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("into, says", [
    ("gpu-pinned", "libcuda.so.1 cannot be loaded: run this on a host with a GPU"),
    ("elsewhere", '"elsewhere" is none of host, gpu-pinned, gpu-direct'),
])  # fmt: skip
def test_without_a_gpu_the_program_says_so(host, program, holder, into, says):
    if into == "gpu-pinned" and find_capability("gpu").check()[0]:
        pytest.skip("there is a GPU")
    with pytest.raises(HostError, match=says):
        fi_reads.measure(host, holder, program, 10, into)


RIGHT = dict(reads=9, right=9, counted=9, provider="tcp;ofi_rxm", samples_us=[1.0] * 9)


@pytest.mark.parametrize("change, error", [
    (dict(right=8), fi_reads.WrongContents), (dict(reads=0, right=0), fi_reads.WrongContents),
    (dict(counted=8), ucx.EvidenceMismatch), (dict(samples_us=[1.0]), ucx.EvidenceMismatch),
    (dict(provider="shm"), ucx.TransportMismatch),
])  # fmt: skip
def test_a_result_that_contradicts_itself_is_refused(change, error):
    fi_reads.check(RIGHT, "tcp")
    with pytest.raises(error):
        fi_reads.check({**RIGHT, **change}, "tcp")


@pytest.mark.parametrize("level, came, right", [
    ("fi_read", 16, True), ("fi_read", 15, False), ("fi_read", 0, False),
    ("fi_read-emulated", 0, True), ("fi_read-emulated", 1, False),
])  # fmt: skip
def test_the_name_of_a_level_says_whether_the_holder_helps(level, came, right):
    seen = dict(came_while_frozen=came, tries_while_frozen=16)
    if right:
        fi_reads.check_emulation(level, seen)
        return
    with pytest.raises(ucx.TransportMismatch, match=f"{came} of 16 reads came"):
        fi_reads.check_emulation(level, seen)


def test_what_needs_a_gpu_or_an_adapter_says_so():
    needs = {(cell.fabric, cell.into): experiments.needs(cell) for cell in CELLS.values()
             if cell.read in experiments.FI_PATHS}  # fmt: skip
    assert needs["cma", "gpu-pinned"][-1] == "gpu" and "rdma" not in needs["cma", "gpu-pinned"]
    assert {"gpu", "rdma", "libfabric"} <= set(needs["rc", "gpu-direct"])
    assert "gpu" not in needs["tcp", "host"]
