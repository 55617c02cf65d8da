"""One small trial of each real cache and of prefetch, and what their checks must reject."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from benchpaper.core.capabilities import find_capability
from benchpaper.design.spec import make_cell
from benchpaper.hosts import cleanup
from benchpaper.hosts.local import LocalHost
from experiments.caching import eviction
from experiments.caching.policies import experiment as policies
from experiments.caching.prefetch import experiment as prefetch
from experiments.caching.tier0 import caches
from experiments.caching.tier0 import experiment as tier0

COUNTS = dict(samples=128, sample_bytes=64 << 10, epochs=3, batch=8, compute_ms=0)


def run(experiment, levels, counts, folder):
    cell = make_cell(levels)
    for name in experiment.capabilities(cell):
        present, detail = find_capability(name).check()
        if not present:
            pytest.skip(f"needs {name}: {detail}")
    folder = Path(tempfile.mkdtemp(dir=folder))
    host = LocalHost(folder=folder)
    site = SimpleNamespace(server=host, client=host, counts=SimpleNamespace(**counts), seed=7)
    try:
        return list(experiment._trial(cell, site))
    finally:
        cleanup.clear(folder)


@pytest.mark.slow
@pytest.mark.parametrize("cache", caches.CACHES)
def test_each_cache_agrees_with_the_origins_log(cache, tmp_path):
    share, rows = 0.0 if cache == "none" else 0.5, []

    @tried_again(5)  # rclone's cache cleans up when it gets its turn
    @tried_again(
        5, ValueError, match="the cache reports"
    )  # as the runner does with a trial that finds itself invalid
    def near_theory():
        rows.extend(run(tier0.experiment, dict(cache=cache, share=share), COUNTS, tmp_path))
        assert (
            cache not in ("memcached", "rclone") or rows[-1]["gap_points"] < 10
        )  # 256 reads; the experiment has more

    near_theory()
    for row in rows:
        assert abs(row["hit_ratio"] - row["told_hit_ratio"]) < 0.04
        assert len(row["stall_ms"]) == 2 * 16 and row["cpu_seconds_per_gb"] > 0
        if cache in ("none", "tier0"):
            assert row["hit_ratio"] == share
            assert row["origin_mb"] == pytest.approx((1 - share) * 128 * 65536 / 1e6)


def test_prefetch_respects_its_bound(tmp_path):
    levels, rows = dict(depth=16, delay_ms=2, mbit=100, compute_ms=20, share=0.5), []

    @tried_again(5)  # a loop that is held up does not come near it
    def near_the_bound():
        rows.extend(run(prefetch.experiment, levels, dict(epochs=2), tmp_path))
        assert rows[-1]["over_bound"] > 0.2

    near_the_bound()
    for row in rows:
        assert (
            row["hit_ratio"] == 48 / 128 and row["setting"] == "cache" and row["over_bound"] < 1.1
        )
        assert row["bound"] == pytest.approx(12.5e6 / (8 * 65536 / 0.02 * (1 - 48 / 128)))


def test_policies_are_simulated_as_asked(tmp_path):
    counts = dict(items=500, requests=2_000, warm=2_000, long_warm=2_000, theory=4_000)
    [row] = run(policies.experiment, dict(trace="uniform", share=0.5), counts, tmp_path)
    assert row["hits_belady"] == row["hits_never_replace"] == 0.5 and row["min_epochs_off"] == 0
    assert row["simulated"] == row["warmed_up"] == "2000" and row["least_held"] > 0.95
    assert row["untrained"] == "gl_cache, lhd, lrb, three_l_cache" and "hits_lhd" not in row
    [row] = run(policies.experiment, dict(trace="uniform", share=0.9), counts, tmp_path)
    assert "hits_arc" not in row and row["hits_lru"] == pytest.approx(0.67, abs=0.03)


def test_only_the_policy_that_needs_it_warms_up_for_long():
    counts = SimpleNamespace(**policies.experiment.scales["full"].counts)
    for trace in ("uniform", "jobs"):
        warm = policies.amounts(make_cell(dict(trace=trace, share=0.5)), counts)["warm"]
        assert {name for name, count in warm.items() if count != counts.warm} == {"lhd"}
        assert all(eviction.learns_after(name) <= count for name, count in warm.items())
        assert ("lrb" in warm) == (trace in policies.LRB_ON)


def test_wrong_evidence_is_refused():
    cell = make_cell(dict(cache="tier0", share=0.5))
    epoch = {"bytes": 640, "seconds": 1.0, "cpu_seconds": 0.1, "stall_ms": [1.0]}
    data = caches.Data(1, 10, 64, {})
    report = {"epochs": [epoch] * 2, "server_cpu_seconds": 0.0}
    log = [{"bytes": 64}] * 15
    assert tier0.observation(cell, report, data, log, 5, 5)["hit_ratio"] == 0.5
    with pytest.raises(
        ValueError, match="the cache reports 8 hits in 20 reads; by the origin's log"
    ):
        tier0.observation(cell, report, data, log, 8, 5)
    with pytest.raises(ValueError, match="not 640 each epoch"):
        tier0.observation(
            cell, {**report, "epochs": [epoch, {**epoch, "bytes": 600}]}, data, log, 5, 5
        )
    cell = make_cell(dict(trace="uniform", share=0.5))
    result = {"hits": 5, "all_hits": 5, "requests": 10, "warm": 10}
    better = {"belady": result, "lru": {**result, "all_hits": 6}}
    with pytest.raises(ValueError, match="6 hits in all, more than MIN's 5"):
        policies.check(cell, better, {"belady": 10, "lru": 10})
    policies.check(cell, {**better, "lru": {**better["lru"], "warm": 20}}, {"belady": 10})
    policies.check(cell, {"belady": result, "never_replace": better["lru"]}, {})
    with pytest.raises(ValueError, match="fifo is missing"):
        policies.check(cell, {"belady": result}, {"belady": 10, "fifo": 10, "lhd": 10})


def test_the_bound_on_utilisation():
    cell = make_cell(dict(depth=4, delay_ms=2, mbit=100, compute_ms=10, share=0.0))
    assert prefetch.bound(cell, 0.0) == pytest.approx(12.5 / 52.4288)
    assert prefetch.bound(cell, 0.9) == prefetch.bound(cell, 1.0) == 1.0
