"""The simulated loop that fetches ahead: by known answers, the model, and real measurements."""

from types import SimpleNamespace

import numpy as np
import pytest
from checkout import ROOT

from benchpaper import load
from benchpaper.design.spec import make_cell
from experiments.caching import prefetch_model
from experiments.caching.prefetch import experiment as real
from experiments.caching.prefetch_simulation import Setting, Simulation, simulate
from experiments.caching.prefetch_strategies import STRATEGIES, Autotuned, Fixed, ToJitter
from experiments.caching.strategies import experiment as strategies

MB = 1e6
LATENCY = dict(compute_s=0.02, latency_s=0.02, link_bytes_s=125 * MB)


def run(strategy, steps=300, seed=1, **setting):
    loop = Setting(**{**LATENCY, **setting})
    made = STRATEGIES[strategy](loop) if isinstance(strategy, str) else strategy
    return Simulation(loop, made, steps, steps // 5, seed).run()


def test_by_hand():
    """Without fetching ahead each sample waits for latency and transfer.

    The first of a step is asked for when the step before begins to compute.
    """
    transfer = (1 << 16) / (125 * MB)
    step = 0.02 + 8 * (0.02 + transfer) - 0.02
    assert run("none")["utilisation"] == pytest.approx(0.02 / step)
    assert run("none", memory=1.0)["utilisation"] > 0.99  # one item has no room
    everything = run("fixed_64", memory=1.0)
    assert everything["hit_ratio"] == pytest.approx(1 - 64 / 4096, abs=0.01)
    assert run("none", memory=0.5)["hit_ratio"] == pytest.approx(0.5, abs=0.02)
    on_disk = run("double_buffer", disk=1.0, disk_s=5e-3)
    assert on_disk["hit_ratio"] == 1.0 and on_disk["utilisation"] == pytest.approx(0.02 / 0.04)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("regime", strategies.REGIMES)
def test_no_strategy_makes_bandwidth(regime, strategy):
    cell = make_cell(dict(regime=regime, strategy=strategy, load=2.0))
    loop = strategies.setting(cell)
    result = run(strategy, steps=900, **vars(loop))
    row = strategies.observation(cell, result, SimpleNamespace(steps=900, warm_steps=180))
    demand = loop.batch * loop.sample_bytes / loop.compute_s
    from_origin = row["utilisation"] * demand * row["bytes_per_sample"]
    assert from_origin <= loop.link_bytes_s * (1 + 1e-9)
    assert 0 <= row["hit_ratio"] <= loop.memory + loop.disk + 0.02


def test_what_cannot_have_come_over_the_link_is_refused():
    cell = make_cell(dict(regime="bandwidth", strategy="batch", load=1.0))
    result = {"utilisation": 0.9, "bytes_per_sample": 1.0, "hit_ratio": 0.0, "window": 8}
    with pytest.raises(ValueError, match=r"23\.6 MB/s over a link of 12\.5"):
        strategies.observation(cell, result, SimpleNamespace(steps=2, warm_steps=1))


def test_steps_must_follow_the_warm_up():
    with pytest.raises(ValueError, match="10 of 10 steps are warm-up"):
        simulate(dict(setting=LATENCY, strategy="none", steps=10, warm_steps=10, seed=1))


def test_the_autotuner_doubles_when_a_full_buffer_ran_empty():
    tuner = Autotuned()
    windows = []
    for ready in (0, 0, 1, 0, 1, 0, 2, 1, 0, 0):
        tuner.wanted(ready)
        windows.append(tuner.window)
    assert windows == [1, 1, 1, 2, 2, 2, 2, 2, 4, 4]


def test_the_window_follows_the_slowest_fetch_and_forgets_it():
    follower = ToJitter(8)
    for _ in range(400):
        follower.arrived(0.1, 400)
    assert follower.window == 48
    follower.arrived(1.0, 400)
    for _ in range(200):
        follower.arrived(0.1, 400)
    assert follower.window == 408
    for _ in range(ToJitter.SEEN):
        follower.arrived(0.1, 400)
    assert follower.window == 48


def test_the_mean_excess_of_the_log_normal():
    draw = np.random.default_rng(1).lognormal(-0.5, 1.0, 400_000)
    for beyond in (-1.0, 0.0, 0.5, 3.0):
        expected = np.maximum(draw - beyond, 0).mean()
        assert prefetch_model.excess(1.0, 1.0, beyond) == pytest.approx(expected, rel=0.02)
    assert prefetch_model.excess(2.0, 0.0, 0.5) == 1.5


HELD_OUT = [
    (
        dict(compute_s=0.013, latency_s=0.03, link_bytes_s=90 * MB, sigma=sigma, memory=memory),
        window,
    )
    for sigma in (0.3, 1.2)
    for memory in (0.0, 0.4)
    for window in (3, 24, 200)
]


@pytest.mark.parametrize("setting, window", HELD_OUT)
def test_the_model_predicts_cells_that_it_was_not_made_with(setting, window):
    result = run(Fixed(window), steps=4_000, **setting)
    loop = Setting(**setting)
    predicted = prefetch_model.utilisation(loop, window, 1 - result["hit_ratio"])
    assert predicted == pytest.approx(result["utilisation"], abs=0.12)


def test_the_simulation_is_near_the_real_loop():
    """Of the reference's real cells, each utilisation within 0.12, where the machine allows it."""
    measured = load("caching/prefetch", ROOT / "artifacts/reference/local").summary("utilisation")
    rows, off = measured.frame, []
    for row in rows.itertuples():
        room = round(row.share * real.SAMPLES)
        loop = Setting(
            compute_s=row.compute_ms / 1e3,
            latency_s=2 * row.delay_ms / 1e3,
            link_bytes_s=row.mbit * 1e6 / 8,
            memory=room / real.SAMPLES,
            items=real.SAMPLES,
        )
        simulated = Simulation(loop, Fixed(max(1, row.depth)), 400, 80, 1).run()["utilisation"]
        off.append(simulated - row.value)
    assert len(off) == 16 and np.median(np.abs(off)) < 0.06, off
    assert max(off) < 0.2 and min(off) > -0.1, off
