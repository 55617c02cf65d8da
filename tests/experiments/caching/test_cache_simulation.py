"""Traces, their files, and the simulator against independent implementations and against theory."""

import importlib.util
import json
import subprocess
import sys
from math import sqrt

import numpy as np
import pytest
from checkout import ROOT

from benchpaper.core.capabilities import find_capability
from experiments.caching import (  # fmt: skip
    access_traces,
    eviction,
    kv_trace,
    plain_caches,
    recorded_simulation,
    recorded_traces,
    simulation,
    sweep,
    theory,
    trace_files,
)
from experiments.caching.deviations import libcachesim_random

PLAIN = {"belady": plain_caches.belady_min, "lru": plain_caches.lru, "fifo": plain_caches.fifo}
GENERATED = [name for name in access_traces.GENERATORS if name != "kv"]
ONCE_PER_EPOCH = ["uniform", "loop", "shard", "block"]
SHARES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


@pytest.mark.parametrize("name", GENERATED)
def test_a_trace_is_exact_from_its_seed(name):
    first, again, other = (access_traces.make(name, 500, 5_000, seed) for seed in (7, 7, 8))
    assert np.array_equal(first.ids, again.ids) and first.ids.min() >= 1
    assert not np.array_equal(first.ids, other.ids)
    assert first.warm < len(first.ids)


@pytest.mark.parametrize("name", ONCE_PER_EPOCH)
def test_each_epoch_reads_each_item_once(name):
    trace = access_traces.make(name, 1000, 5_000, 3)
    for epoch in trace.ids.reshape(-1, 1000):
        assert np.array_equal(np.sort(epoch), np.arange(1, 1001))


def test_traces_are_what_they_are_called():
    def lags(name):
        epochs = access_traces.make(name, 2048, 2048 * 4, 3).ids.reshape(-1, 2048)
        return epochs, np.mean(np.diff(epochs, axis=1) == 1)

    epochs, _ = lags("loop")
    assert (epochs == epochs[0]).all()
    epochs, neighbours = lags("block")
    assert not (epochs[0] == epochs[1]).all() and neighbours > 0.85
    _, neighbours = lags("shard")
    assert neighbours < 0.1
    checkpoint = access_traces.make("checkpoint", 1000, 5_000, 3)
    scanned, counts = np.unique(checkpoint.ids[checkpoint.ids > 1000], return_counts=True)
    assert len(scanned) == 500 and (counts == 1).all()
    curriculum = access_traces.make("curriculum", 1000, 20_000, 3).ids
    assert curriculum[:1000].max() <= 300 and curriculum[-1000:].max() > 950
    mixture = access_traces.make("mixture", 1000, 100_000, 3).ids
    assert np.mean(mixture > 950) == pytest.approx(0.4, abs=0.01)
    shared = access_traces.make("jobs", 1000, 8_000, 3).ids.reshape(-1, 4)
    assert np.array_equal(shared[125:, 1], shared[:-125, 0])


def shuffle_buffer_step_by_step(order, size, rng):
    steps, size = len(order) - size, size
    slots = np.concatenate([rng.integers(0, size, steps), rng.permutation(size)])
    held, out, coming = list(order[:size]), [], iter(order[size:])
    for slot in slots:
        out.append(held[slot])
        held[slot] = next(coming, None)
    return np.array(out)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_shuffle_buffer_at_once_is_the_one_step_by_step(size):
    order = np.random.default_rng(0).permutation(100)
    order_out = access_traces.shuffle_buffer(order, size, np.random.default_rng(5))
    assert np.array_equal(
        order_out, shuffle_buffer_step_by_step(order, size, np.random.default_rng(5))
    )


def test_ranks_part_an_epoch_among_them():
    parts = [access_traces.distributed_sampler(1001, 4, rank, 5, 2) for rank in range(4)]
    assert [len(part) for part in parts] == [251] * 4
    assert set(np.concatenate(parts)) == set(range(1001))


def test_the_distributed_sampler_is_pytorchs():
    data = pytest.importorskip("torch.utils.data", reason="needs torch")
    for items, seed, epoch in ((1001, 0, 0), (5000, 123, 7)):
        for rank in range(3):
            sampler = data.DistributedSampler(
                range(items), num_replicas=3, rank=rank, shuffle=True, seed=seed
            )
            sampler.set_epoch(epoch)
            assert (
                list(sampler)
                == access_traces.distributed_sampler(items, 3, rank, seed, epoch).tolist()
            )


def test_pytorchs_shuffle_by_known_values():
    """torch 2.13.0 gave these for randperm(10, generator=Generator().manual_seed(seed))."""
    for seed, values in KNOWN_RANDPERM.items():
        assert access_traces.torch_randperm(10, seed).tolist() == values


KNOWN_RANDPERM = {
    0: [4, 1, 7, 5, 3, 9, 0, 8, 6, 2], 1: [5, 6, 1, 2, 0, 8, 9, 3, 7, 4],
    123456789: [8, 5, 4, 6, 2, 1, 3, 9, 0, 7],
}  # fmt: skip


def test_next_accesses_are_true(tmp_path):
    ids = np.random.default_rng(0).integers(1, 50, 1000)
    trace_files.write(tmp_path / "t", ids)
    records = trace_files.read(tmp_path / "t")
    assert records.dtype.itemsize == 24 and np.array_equal(records["id"], ids)
    for place, after in enumerate(records["next"]):
        later = np.flatnonzero(ids[place + 1 :] == ids[place])
        assert after == (place + 1 + later[0] if len(later) else -1)


def test_a_trace_file_is_whole_or_absent(tmp_path):
    for wrong in ([], [0, 1]):
        with pytest.raises(ValueError, match="it needs one at least, and ids from 1 on"):
            trace_files.write(tmp_path / "t", np.array(wrong, dtype=np.int64))
    assert not list(tmp_path.iterdir())
    (tmp_path / "cut").write_bytes(b"x" * 30)
    with pytest.raises(ValueError, match="30 bytes are no whole number of records"):
        trace_files.read(tmp_path / "cut")


def simulated(policy, trace, size, tmp_path, seed=1):
    return simulation.simulate(policy, simulation.write(trace, tmp_path / "trace"), size, seed)


@pytest.mark.parametrize("policy", PLAIN)
@pytest.mark.parametrize("name", GENERATED)
def test_independent_implementations_agree_with_the_simulator_exactly(name, policy, tmp_path):
    for share in (0.05, 0.5, 0.93):
        trace = access_traces.make(name, 400, 6_000, 11)
        size = round(share * trace.items)
        hits = PLAIN[policy](trace.ids.tolist(), size)
        assert simulated(policy, trace, size, tmp_path)["hits"] == sum(hits[trace.warm :])


@pytest.mark.parametrize("share", SHARES)
def test_min_has_exactly_c_hits_in_every_epoch(share, tmp_path):
    for name in ONCE_PER_EPOCH:
        trace = access_traces.make(name, 1000, 8_000, 5)
        size = round(share * 1000)
        assert simulated("belady", trace, size, tmp_path)["per_epoch"] == [0] + [size] * 7


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("policy", ["lru", "fifo", "uniform_random"])
def test_closed_forms_at_ten_sizes(policy, share):
    """The mean over epochs is within four standard errors of the closed form for finite N."""
    items, epochs = 2_000, 60
    trace = access_traces.make("uniform", items, items * epochs, 17)
    run = {**PLAIN, "uniform_random": lambda ids, size: plain_caches.uniform_random(ids, size, 3)}[
        policy
    ]
    hits = (
        np.array(run(trace.ids.tolist(), round(share * items)))
        .reshape(epochs, items)
        .mean(axis=1)[8:]
    )
    expected = theory.FORMS[policy](share)
    assert abs(hits.mean() - expected) < 4 * hits.std(ddof=1) / sqrt(len(hits)) + 1 / items


def test_closed_forms_at_known_values():
    """Simulated at N = 20,000 before this project began."""
    for c, fifo, uniform in (
        (0.07, 0.0026, 0.0051),
        (0.33, 0.0704, 0.1244),
        (0.5, 0.1929, 0.2834),
        (0.85, 0.7420, 0.7533),
    ):
        assert theory.fifo(c) == pytest.approx(fifo, abs=1e-3)
        assert theory.uniform_random(c) == pytest.approx(uniform, abs=1e-3)
    assert theory.lru(0.5) == pytest.approx(0.1534, abs=1e-4)
    assert theory.fifo(0.632120) == pytest.approx(theory.fifo(0.632121), abs=1e-5)


def test_queues_of_one_size_may_leave_room_for_less_than_one_object_each(tmp_path):
    path = ROOT / "experiments/caching/recorded/mds_py1e.parquet"
    trace = recorded_simulation.trace_of(recorded_traces.load(path), 16 << 10)
    size = round(0.1 * trace.items)
    assert size % 4 == 3  # SLRU has four queues
    file = simulation.write(trace, tmp_path / "trace")
    assert simulation.simulate("slru", file, size, 1)["held"] == size - 3


@pytest.mark.slow
def test_every_policy_fills_its_room_and_memory_does_not_grow(tmp_path):
    trace = access_traces.make("uniform", 1_000, 6_000, 5)
    job = (simulation.write(trace, tmp_path / "trace"), 500, 1)
    result_of = simulation.simulate_all([(name, *job) for name in eviction.NAMES])
    assert set(result_of) == set(eviction.NAMES)
    best = result_of["belady"]["all_hits"]
    assert best == 500 * 5 and all(0 <= result["hits"] <= best for result in result_of.values())
    held = {name: result["held"] for name, result in result_of.items() if name in eviction.POLICIES}
    assert {name for name, count in held.items() if count < 490} <= {"gl_cache"}
    many = simulation.simulate_all([("lru", *job)] * 16)
    assert many["lru"]["peak_mb"] < result_of["lru"]["peak_mb"] + 20


def test_a_cache_well_short_of_its_room_is_refused(tmp_path, monkeypatch):
    """By default, CLOCK-Pro keeps half of its room empty."""
    trace = access_traces.make("uniform", 1_000, 6_000, 5)
    monkeypatch.setitem(eviction.POLICIES, "clock_pro", eviction.Policy("ClockPro"))
    with pytest.raises(ValueError, match="clock_pro holds 250 objects, but has room for 500"):
        simulated("clock_pro", trace, 500, tmp_path)


LEARNERS = [name for name, policy in eviction.POLICIES.items() if policy.learns_after]


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_what_learns_has_learned_by_the_end_of_its_warm_up(name, tmp_path, monkeypatch):
    """Until it is trained, it does what another policy does, or what it would do untrained."""
    # With so few items, all but LHD need fewer requests than in the paper.
    after, span = eviction.learns_after(name), 10_000
    after = after if name == "lhd" else min(after, 140_000)
    trace = access_traces.make("uniform", 1_000, after + span, 3)
    file = simulation.write(trace, tmp_path / "trace")

    def ratios(run):
        reader = simulation.reader(file.path)
        return [
            run.process_trace(reader, start_req=begin, max_req=span)[0]
            for begin in range(0, after + span, span)
        ]

    seen = ratios(simulation.cache(name, 500))
    if name == "lhd":  # nothing else is like it before
        assert abs(seen[-1] - np.mean(seen[2:20])) > 4 * np.std(seen[2:20])
        return
    never = eviction.Policy("GLCache", {"retrain_intvl": 10**8})
    monkeypatch.setitem(eviction.POLICIES, "untrained", never)
    untrained = ratios(simulation.cache("untrained" if name == "gl_cache" else "lru", 500))
    assert seen[:8] == pytest.approx(untrained[:8]) and seen[-1] != pytest.approx(untrained[-1])


def test_the_lru_2_without_a_past_is_no_lfu(tmp_path):
    """Their hit ratios are alike, for both evict first what was read once, oldest first."""

    def kept(cls, ids):
        import libcachesim

        trace_files.write(tmp_path / "t", np.array(ids))
        run = getattr(libcachesim, cls)(2, hashpower=12)
        run.process_trace(simulation.reader(tmp_path / "t"))
        return {item for item in set(ids) if run.find(request(libcachesim, item), False)}

    def request(libcachesim, item):
        wanted = libcachesim.Request()
        wanted.obj_id, wanted.obj_size = item, 1
        return wanted

    often_long_ago = [1, 1, 1, 2, 2, 3]
    assert kept("LRUK", often_long_ago) == {2, 3} and kept("LFU", often_long_ago) == {1, 3}
    forgotten = [1, 2, 3, 1, 4]  # with a past, 1 would be known as read twice
    assert kept("LRUK", forgotten) == kept("LFU", forgotten) == {1, 4}


def test_the_program_prints_what_was_asked(tmp_path):
    plan = {
        "trace": "uniform", "share": 0.5, "seed": 3, "items": 500, "folder": str(tmp_path),
        "requests": 2_000,
        "warm": {"lru": 1_000, "belady": 1_000, "uniform_random": 1_400, "lrb": 1_400},
    }  # fmt: skip
    command = [sys.executable, "-m", "experiments.caching.simulation", json.dumps(plan)]
    result_of = json.loads(
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    )
    assert {name: (result["warm"], result["requests"]) for name, result in result_of.items()} == {
        "lru": (1_000, 2_000),
        "belady": (1_000, 2_000),
        "uniform_random": (1_500, 1_500),  # whole epochs, and LRB is left out
    }


def test_the_kv_trace_is_told_by_its_digest(tmp_path, monkeypatch):
    check = find_capability("kv_trace").check
    monkeypatch.delenv(kv_trace.VARIABLE, raising=False)
    assert check() == (False, "BENCHPAPER_KV_TRACE is not set")
    wrong = tmp_path / "trace.jsonl"
    wrong.write_text('{"hash_ids": [5, 7, 5]}\n{"hash_ids": [9]}\n')
    monkeypatch.setenv(kv_trace.VARIABLE, str(wrong))
    present, detail = check()
    assert not present and "has SHA-256" in detail
    monkeypatch.setenv(kv_trace.VARIABLE, str(tmp_path / "absent"))
    assert check() == (False, "BENCHPAPER_KV_TRACE: No such file or directory")
    assert kv_trace.blocks(wrong).tolist() == [1, 2, 1, 3]


def test_plain_models_of_real_caches_by_known_answers():
    order = [1, 2, 3, 4, 5, 1, 2, 6]
    assert plain_caches.never_replace(order, 2) == [False] * 5 + [True, True, False]
    # 1 and 2 are read again while inactive, so they are active when 3, 4 and 5 come and go.
    assert plain_caches.two_lists([1, 2, 1, 2, 3, 4, 5, 6, 2], 4) == [
        False,
        False,
        True,
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    shuffles = access_traces.make("uniform", 1000, 20_000, 3)
    ratios = [
        sum(hits[1000:]) / 19_000
        for hits in (
            plain_caches.lru(shuffles.ids.tolist(), 500),
            plain_caches.older_of_two(shuffles.ids.tolist(), 500, 1),
            plain_caches.uniform_random(shuffles.ids.tolist(), 500, 1),
        )
    ]  # fmt: skip
    assert ratios[0] < ratios[1] < ratios[2]


def test_the_long_sweep_goes_on_where_it_was_interrupted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "ITEMS", 200)
    monkeypatch.setattr(sweep, "TRACES", ["uniform"])
    monkeypatch.setattr(sweep, "SHARES", (0.5,))
    monkeypatch.setattr(sweep, "FEW", ("hyperbolic",))
    monkeypatch.setattr(sweep, "PRICED_REQUESTS", 40_000)
    monkeypatch.setattr(eviction, "NAMES", ("lru", "fifo", "belady", "hyperbolic", "lrb"))
    sweep.run(tmp_path, 4_000)
    path = tmp_path / "done.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 4 and sweep.done(tmp_path) == set(sweep.jobs(4_000))
    path.write_text("".join(lines[:2]) + lines[2][:20])  # killed in the middle of a line
    sweep.plan(tmp_path, 4_000)
    assert "2 of 4 simulations left" in capsys.readouterr().out
    sweep.run(tmp_path, 4_000)
    assert sweep.done(tmp_path) == set(sweep.jobs(4_000)) and [
        file.name for file in tmp_path.iterdir()
    ] == ["done.jsonl"]


def test_the_simulators_random_deviates_whatever_its_table():
    ratios = libcachesim_random.hit_ratios(powers=(11, 24), items=2_000, epochs=40)
    uniform = theory.uniform_random(0.5)
    assert all(ratio > uniform + 0.004 for ratio in ratios.values()), ratios


def test_the_benchmark_of_the_simulations_speed_runs(capsys):
    spec = importlib.util.spec_from_file_location(
        "simulation_speed", ROOT / "benchmarks/simulation_speed.py"
    )
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    benchmark.main(requests=40_000, rounds=1)
    out = capsys.readouterr().out
    assert "sweep on " in out and all(policy in out for policy in benchmark.POLICIES)
