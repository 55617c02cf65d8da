"""Predictors of the stall: the stores that are measured, the numbers, a trial of each face."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from checkout import ROOT
from scipy.stats import qmc, spearmanr

from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.spec import make_cell
from benchpaper.hosts.local import LocalHost
from benchpaper.results import check_observation
from experiments.training_io.clients import single_numbers, stores
from experiments.training_io.data import workloads
from experiments.training_io.predictors import experiment as predictors
from experiments.training_io.predictors import shapes

# ---- which stores ----


@pytest.mark.parametrize("count", [shapes.COUNT, 20])
def test_the_stores_fill_the_space_of_their_settings(count):
    """More evenly than all but a few of a hundred random samples of their number."""
    points = np.array([shapes.point(number) for number in range(1, count + 1)])
    random = np.random.default_rng(5)
    by_chance = [qmc.discrepancy(random.random(points.shape)) for _ in range(100)]
    assert qmc.discrepancy(points) < np.quantile(by_chance, 0.05)
    assert points.min() >= 0 and points.max() < 1


def test_settings_do_not_go_together():
    """Otherwise a number would predict what it has nothing to do with."""
    settings = ("latency_s", "bandwidth", "open_s", "entry_s", "slots", "jitter")
    values = np.array(
        [[getattr(shape, name) for name in settings] for shape in shapes.ALL.values()]
    )
    correlations = spearmanr(values).statistic - np.eye(len(settings))
    assert len(values) >= 40 and np.abs(correlations).max() < 0.3
    spread = values.max(axis=0) / np.maximum(values.min(axis=0), 1e-9)
    assert spread.min() > 10


# ---- the numbers ----


class Slow(stores.MemoryStore):
    """A store whose requests take 20 ms."""

    def _wait(self, data):
        single_numbers.time.sleep(0.02)
        return data

    def get(self, name):
        return self._wait(super().get(name))

    def get_range(self, name, start, length):
        return self._wait(super().get_range(name, start, length))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    single_numbers.make(folder)
    return folder


def test_readers_gain_until_the_time_is_over(numbers):
    store = Slow(numbers / "objects")
    name = store.list()[-1]
    rates = {r: single_numbers.rate(store, r, 0.3, lambda: len(store.get(name))) for r in (1, 4)}
    assert 0 < rates[1] <= 1024 / 0.02 and rates[1] < rates[4] <= 4 * 1024 / 0.02


def test_the_error_of_a_reader_ends_all_readers(numbers):
    store = Slow(numbers / "objects")
    with pytest.raises(KeyError, match="missing"):
        single_numbers.rate(store, 4, 600, lambda: store.get("missing"))


def test_an_error_after_the_start_is_raised_too(numbers):
    store, calls = Slow(numbers / "objects"), []

    def work():
        calls.append(1)
        if len(calls) > 5:
            raise OSError("gone")
        return 1

    with pytest.raises(OSError, match="gone"):
        single_numbers.rate(store, 2, 60, work)


def test_all_numbers_of_a_store_whose_latency_is_set(numbers):
    target = dict(kind="known", folder=str(numbers), latency_s=0.01, bandwidth=1e9)
    measured = single_numbers.measure(target, [], 0.2, 1)
    assert set(measured) == {*NUMBERS, "supply"} and measured["p999_us"] is None
    assert measured["iops_4k_qd1"] < 110 and measured["opens_per_s"] < 110
    assert measured["p50_us"] >= 9_000  # it sleeps less if it slept too long before
    assert measured["iops_4k_qd32"] > 2 * measured["iops_4k_qd1"]


NUMBERS = (
    *("iops_4k_qd1", "iops_4k_qd32", "p50_us", "p99_us", "p999_us"),
    *("sequential_mb_s", "object_mb_s", "opens_per_s"),
)


@pytest.mark.parametrize(
    "target, expected",
    [
        (dict(kind="s3", bucket="b"), dict(kind="s3", bucket="b", prefix="x/")),
        (dict(kind="s3", prefix="a/"), dict(kind="s3", prefix="a/x/")),
        (dict(kind="file", folder="/f"), dict(kind="file", folder="/f/x")),
        (dict(kind="nfs", folder="f"), dict(kind="nfs", folder="f/x")),
    ],
)
def test_a_subfolder_of_every_store(target, expected):
    assert single_numbers.below(target, "x") == expected


def test_tokens_lie_in_one_file_that_stays_open():
    target = dict(kind="file", folder="/f")
    kept = single_numbers.of_job(target, dict(name="tokens", format="tokens"))
    assert kept == dict(kind="file", folder="/f/tokens", keep=True)
    assert single_numbers.of_job(target, dict(name="unet3d", format="npy"))["folder"] == "/f/unet3d"


# ---- predictions without fitting ----

OURS = workloads.ALL["tokens"].ours  # 64 reads of 4 KiB a step


def model(p50_us, object_mb_s, gain):
    numbers = dict(p50_us=p50_us, object_mb_s=object_mb_s, iops_4k_qd1=1.0, iops_4k_qd32=gain)
    trained = dict(requests=640, samples_read=640, bytes_read=640 * 4096)
    return predictors.modelled(workloads.ALL["tokens"], numbers, trained)


def test_the_model_is_bound_by_latency_bandwidth_or_neither():
    assert model(1.0, 1000.0, 32) == 1.0
    latency = model(10_000.0, 1000.0, 32)
    assert latency == pytest.approx(64 * 0.010 / 4 / OURS.compute_s, rel=0.01)
    assert model(10_000.0, 1000.0, 1) == pytest.approx(4 * latency, rel=0.01)
    bandwidth = model(1.0, 1.0, 32)
    assert bandwidth == pytest.approx(64 * 4096 / 1e6 / OURS.compute_s, rel=0.01)


def test_a_supply_beyond_the_demand_never_waits():
    need = OURS.batch / OURS.compute_s
    assert predictors.slowdown(OURS, 2 * need) == 1.0
    assert predictors.slowdown(OURS, need / 3) == pytest.approx(3.0)


def test_the_first_batches_lay_ready_and_do_not_count():
    trained = dict(
        stall_ms=[0.0] * 4 + [20.0] * 12,
        au_configured=0.5,
        au_measured=0.5,
        requests=10,
        samples_read=10,
        bytes_read=40_960,
        cpu_s=0.001,
    )
    row = predictors.observed(OURS, trained)
    assert row["stall_ms"] == 20.0 and row["steps"] == 12
    assert row["slowdown"] == pytest.approx(1 + 0.020 / OURS.compute_s)
    assert row["cpu_us_per_sample"] == pytest.approx(100) and row["bytes_per_sample"] == 4096


# ---- one trial of each face ----


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    experiment = catalog.load(Project(ROOT), "training_io/predictors")
    programs = tmp_path_factory.mktemp("programs")
    experiment._build(programs)
    return experiment, programs


def test_the_data_keep_to_the_announced_disk_space(built):
    """A file system takes a copy, in an image of a fixed size, and a store may keep it twice."""
    experiment, programs = built
    used = sum(path.stat().st_blocks * 512 for path in Path(programs).rglob("*"))
    assert used < 200e6 and 4 * used <= min(s.disk_mb for s in experiment.scales.values()) * 1e6


@pytest.mark.parametrize(
    "storage, face", [("set-02", "s3"), ("set-11", "fuse"), ("tmpfs", "own"), ("null", "own")]
)
def test_a_trial_observes_every_workload(storage, face, built, tmp_path, left_behind):
    experiment, programs = built
    cell = make_cell(dict(storage=storage, face=face))
    if missing := [n for n in experiment.capabilities(cell) if not find_capability(n).check()[0]]:
        pytest.skip(f"needs {', '.join(missing)}")
    counts = dict(seconds=0.05, loop_seconds=0.05, least_steps=3, workloads=8)
    if storage != "null":
        counts["workloads"] = 2
    site = SimpleNamespace(
        client=LocalHost(folder=tmp_path),
        counts=SimpleNamespace(**counts),
        seed=1,
        programs=programs,
    )
    rows = list(experiment._trial(cell, site))
    assert [row["workload"] for row in rows] == list(workloads.ALL)[: counts["workloads"]]
    for row in rows:
        check_observation(experiment.describe(), row)
        assert row["slowdown"] >= 1 and row["modelled"] >= 1 and row["replayed"] >= 1
    assert not [kind for kind in left_behind() if kind in ("processes", "mounts")]
