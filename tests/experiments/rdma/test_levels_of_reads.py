"""Levels say which reads UCX emulates, and a trial in which UCX does otherwise is no result."""

import importlib
from types import MappingProxyType, SimpleNamespace

import pytest

from experiments.systems import ucx

EXPERIMENTS = ["fabric", "object_get", "target_stall", "percentiles", "multi_get"]
OWN = ("posix", "cma", "tcp", "sysv", "rc", "dc", *ucx.SOFT_ROCE)


def levels(name):
    """Yield (transport, the level of a read) of all cells that read."""
    experiment = importlib.import_module(f"experiments.rdma.{name}.experiment").experiment
    for cell in experiment.cells("full"):
        where = cell.levels.get("fabric", cell.levels.get("transport"))
        level = cell.levels.get("path", cell.levels.get("operation"))
        if where in OWN and level.startswith(("get", "ucp_get", "cached", "lookup")):
            yield where, level


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_level_calls_an_emulated_read_a_read(name):
    seen = set(levels(name))
    assert seen
    for transport, level in seen:
        mapped = transport == "posix" and level in ("cached", "cached-unvalidated", "lookup")
        emulated = transport in ucx.EMULATING and not mapped
        assert level.endswith(ucx.EMULATED) == emulated, (transport, level)


@pytest.mark.parametrize("level, said, right", [
    ("get", "zero-copy", True), ("get-emulated", "software emulation", True),
    ("get", "software emulation", False), ("get-emulated", "zero-copy", False),
    ("cached", "loads from mapped memory (ucp_rkey_ptr)", True),
])  # fmt: skip
def test_what_ucx_says_must_fit_the_level(level, said, right):
    if right:
        ucx.check_emulation(level, said)
    else:
        with pytest.raises(ucx.TransportMismatch, match="correct ucx.EMULATING"):
            ucx.check_emulation(level, said)


@pytest.mark.parametrize("path", ["ucp_get-emulated", "cached"])
def test_a_trial_whose_level_lies_fails(tmp_path, monkeypatch, path):
    """The check is part of the trial of rdma/object_get."""
    from experiments.rdma import store
    from experiments.rdma.object_get import own_store

    class Pair:
        ready = MappingProxyType(dict(index_bytes=1, heap_bytes=1, objects=1))

        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def result(self):
            said = "zero-copy" if path.endswith("emulated") else "software emulation"
            return dict(protocol_used=said, right=1, iterations_done=1)

    monkeypatch.setattr(store, "Server", Pair)
    monkeypatch.setattr(store, "Reader", Pair)
    cell = SimpleNamespace(path=path, fabric="posix", size_bytes=4096, outstanding=1, readers=1,
                           writer="none", objects=0)  # fmt: skip
    host = SimpleNamespace(cpus=[0])
    site = SimpleNamespace(server=host, client=host, programs=tmp_path, seed=1,
                           counts=SimpleNamespace(fast=100, slow=100, large=10))  # fmt: skip
    with pytest.raises(ucx.TransportMismatch):
        own_store.observe(cell, site)
