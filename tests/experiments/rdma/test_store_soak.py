"""The soak of the object store: it counts every read, and ends in time."""

import runpy

import pytest
from checkout import ROOT

from experiments.rdma import store


@pytest.fixture
def main(binary, monkeypatch):
    """The benchmark's `main`, with the program of the other tests."""
    monkeypatch.setattr(store, "build", lambda _: binary)
    return runpy.run_path(str(ROOT / "benchmarks/store_soak.py"))["main"]


def test_it_reads_in_slices_and_counts_all(main, capsys):
    assert main(["--reads", "30000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "validation on: 30,000 right, 0 torn" in lines[-3]
    assert (
        "validation off" in lines[-2] and lines[-1] == "30,000 of 30,000 validated reads, all right"
    )


def test_it_says_what_is_left_when_time_is_up(main, capsys):
    assert main(["--reads", "1e9", "--most-minutes", "0"]) == 0
    assert "run it with --reads 1000000000" in capsys.readouterr().out


def test_a_torn_object_ends_it(main, capsys, monkeypatch):
    def torn(*_, **more):
        raise store.WrongObjects("of 7 objects 1 were torn, 0 older than one read before")

    monkeypatch.setattr(store, "measure", torn)
    assert main(["--reads", "7"]) == 1
    assert "FAILED: of 7 objects 1 were torn" in capsys.readouterr().out
