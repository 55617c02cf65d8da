"""The simulated loop against its closed form, and a real loop against the simulation."""

import importlib.util
import itertools
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from benchpaper.hosts.local import LocalHost
from experiments.rdma.latency_budget import demand, simulation
from experiments.rdma.latency_budget import experiment as budget
from experiments.rdma.latency_budget.demand import Demand


@pytest.mark.parametrize("batch, compute_ms, latency_ms, depth", [
    (4, 1.0, 4.0, 1), (4, 1.0, 0.5, 1), (4, 1.0, 8.0, 4), (4, 1.0, 20.0, 4), (1, 1.0, 15.9, 16),
    (400, 0.56, 5.0, 8), (1, 2.0, 2.0, 1), (7, 46.0, 100.0, 1),
])  # fmt: skip
def test_the_simulated_stall_is_the_closed_form(batch, compute_ms, latency_ms, depth):
    """With constant latencies, the loop runs at the rate of its slower side."""
    load, steps = Demand(1, batch, compute_ms), 400
    got = simulation.stall_share(load, simulation.constant(latency_ms), depth, steps)
    step = max(batch * latency_ms / depth, batch * compute_ms)
    assert got == pytest.approx(1 - batch * compute_ms / step, abs=0.02)


@pytest.mark.parametrize("depth", [1, 4, 16])
@pytest.mark.parametrize("workload", demand.ALL)
def test_the_budget_is_what_is_in_flight_during_a_computation(workload, depth):
    """And less where batches are small, because a late GET then stalls at once."""
    load = demand.ALL[workload]
    budget_s, ideal = simulation.budget_s(load, depth, seed=1), depth * load.compute_s
    assert 0.5 * ideal < budget_s < 1.1 * ideal
    if load.batch > depth:
        assert budget_s > 0.9 * ideal


def test_what_is_lost_grows_with_latency_and_falls_with_depth():
    load = Demand(4096, 4, 0.001)

    def lost(latency_s, depth):
        return simulation.stall_share(load, simulation.drawn(latency_s, 3), depth, 200)

    by_latency = [lost(latency_s, 4) for latency_s in (0.0005, 0.002, 0.004, 0.008, 0.1)]
    assert by_latency == sorted(by_latency) and by_latency[0] < 0.01 < 0.9 < by_latency[-1]
    assert lost(0.004, 1) > lost(0.004, 4) > lost(0.004, 16)


def test_drawn_latencies_have_their_mean():
    drawn = list(itertools.islice(simulation.drawn(0.002, 5), 50_000))
    assert sum(drawn) / len(drawn) == pytest.approx(0.002, rel=0.02) and min(drawn) >= 0.001


def test_the_demands_are_those_of_their_derivations():
    assert demand.ALL["kv-cache"].get_bytes == 65536  # 16 tokens of 8 heads, keys and values
    assert demand.ALL["tokens"].get_bytes == 4096 and demand.ALL["resnet50"].batch == 400
    assert 1e-5 < demand.ALL["kv-cache"].compute_s < 1e-4 < demand.ALL["tokens"].compute_s


@pytest.mark.skipif(not importlib.util.find_spec("xxhash"), reason="needs xxhash")
@pytest.mark.parametrize("latency_us, depth, lost", [(5000.0, 1, (0.4, 1.0)), (0.5, 4, (0, 0.5))])
def test_a_real_loop_loses_about_what_the_simulation_says(tmp_path, latency_us, depth, lost):
    """Over a store of known latency. The bounds leave room for a busy machine."""
    budget.build(tmp_path)
    [cell] = [
        cell for cell in budget.experiment.cells("smoke")
        if (cell.way, cell.latency_us, cell.depth) == ("known", latency_us, depth)
    ]  # fmt: skip
    host = LocalHost(folder=tmp_path)
    site = SimpleNamespace(client=host, programs=tmp_path, seed=1,
                           counts=SimpleNamespace(milliseconds=100))  # fmt: skip

    @tried_again(10)  # where a computation is held up, less is lost
    def run():
        [seen] = budget.experiment._trial(cell, site)
        assert seen["off_by"] == abs(seen["stall_share"] - seen["predicted_share"])
        assert seen["service_ms"] >= 0.9 * latency_us / 1e3
        assert lost[0] <= seen["stall_share"] <= lost[1]

    run()
