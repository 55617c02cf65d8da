"""Layouts of records: whole ones are accepted, torn ones are not, and the program says so."""

import shutil
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from benchpaper.hosts import CommandFailed
from benchpaper.hosts.local import LocalHost
from experiments.rdma.record_layout import experiment as layout

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SAFE = ["per-line", "crc64", "sums"]
LAYOUTS = ["none", "two-versions", *SAFE]


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return layout.compile_program(tmp_path_factory.mktemp("layouts") / "layouts")


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    return layout.compile_program(tmp_path_factory.mktemp("sanitized") / "layouts", SANITIZE)


@pytest.fixture
def host(tmp_path):
    return LocalHost(folder=tmp_path)


def observed(host, binary, name, size=1024, order="shuffled", writer="full speed", reads=100_000):
    cell = SimpleNamespace(layout=name, size_bytes=size, order=order, writer=writer)
    return layout.observed(host, binary, cell, SimpleNamespace(contended=reads))


@pytest.mark.parametrize("size", [64, 1000, 65536])
@pytest.mark.parametrize("name", LAYOUTS)
def test_what_nobody_writes_is_whole_and_the_program_clean(host, sanitized, name, size):
    seen = observed(host, sanitized, name, size, "in-order", "none")
    assert seen["torn"] == seen["refused_share"] == 0 and len(seen["check_us"]) == seen["reads"] > 0
    assert 0 < seen["overhead_bytes"] <= max(128, size // 4)


@pytest.mark.parametrize("order", ["in-order", "shuffled"])
@pytest.mark.parametrize("name", SAFE)
def test_a_layout_with_a_check_misses_no_torn_record(host, binary, name, order):
    seen = observed(host, binary, name, order=order)
    assert seen["missed_share"] in (0.0, None)


@pytest.mark.parametrize("name", ["none", "two-versions"])
def test_without_one_torn_records_pass(host, binary, name):
    """So the harness sees torn records, and the check above can fail."""

    @tried_again(20)  # reader and writer may not meet on a busy machine
    def meet():
        seen = observed(host, binary, name)
        assert seen["torn"] and seen["missed_share"] > 0

    meet()


@pytest.mark.parametrize("words, complaint", [
    ("sums 4096 in-order none 10 0.1 0 0", "expected LAYOUT SIZE"),
    ("checksum 4096 in-order none 10 0.1 0 0 f", "checksum: there is no such layout"),
    ("sums 12 in-order none 10 0.1 0 0 f", "size 12: expected a number from 64"),
    ("sums 100 in-order none 10 0.1 0 0 f", "size 100: expected a multiple of 8"),
    ("sums 4096 sorted none 10 0.1 0 0 f", "sorted: expected in-order or shuffled"),
    ("sums 4096 in-order none ten 0.1 0 0 f", "reads ten: expected a number"),
    ("sums 4096 in-order none 10 nan 0 0 f", "seconds nan: expected a number"),
])  # fmt: skip
def test_bad_usage(host, binary, words, complaint):
    done = host.run([binary, *words.split()], check=False)
    assert done.returncode == 2 and complaint in done.stderr and done.stderr.count("\n") == 1


def test_samples_that_cannot_be_written_are_an_error(host, binary):
    words = ["sums", "4096", "in-order", "none", "10", "0.1"]
    with pytest.raises(CommandFailed, match="cannot write /nowhere/samples"):
        host.run([binary, *words, host.cpus[0], host.cpus[0], "/nowhere/samples"])
