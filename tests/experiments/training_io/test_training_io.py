"""The experiments of this family: one small trial of each kind of cell."""

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.spec import make_cell
from benchpaper.hosts.local import LocalHost
from benchpaper.results import check_observation
from experiments.systems.environment.memory_limit import LoopFileSystem, device_bytes_read
from experiments.training_io import backends
from experiments.training_io.accelerator import experiment as accelerator
from experiments.training_io.clients import stores
from experiments.training_io.data import dataset, samples
from experiments.training_io.loops import training_loop
from experiments.training_io.peer import experiment as peer

BASE = dict(workload="resnet50", format="npy", readers=2, loader="threads")


def lacks(names):
    return [name for name in names if not find_capability(name).check()[0]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backends") / "resnet50-npy"
    dataset.make(folder, samples.SCALED["resnet50"], 24, "npy")
    return folder


@pytest.mark.parametrize("name", list(backends.ALL))
def test_every_backend_hands_out_the_same_samples_and_leaves_nothing(
    name, data, tmp_path, left_behind
):
    if missing := lacks(backends.needs(name)):
        pytest.skip(f"needs {', '.join(missing)}")
    host = LocalHost(folder=tmp_path)
    with (
        backends.open(name, host, data) as opened,
        closing(stores.open_store(opened.store)) as store,
    ):
        result = training_loop.run(training_loop.Loop("npy", 2, 0.0, 12, 2), store)
    assert result["payload_used"] == 24 * 114_660
    assert not [
        kind for kind in left_behind() if kind in ("processes", "listening ports", "mounts")
    ]


def test_a_cold_trial_that_was_not_cold_is_refused():
    with pytest.raises(AssertionError, match="not cold"):
        accelerator.cold_share("disk", {"device_bytes": 50, "bytes_read": 100})
    assert accelerator.cold_share("disk-cgroup", {"device_bytes": 90, "bytes_read": 100}) == 0.9


@pytest.mark.root
def test_the_counter_of_the_device_tells_cold_readings_from_warm_ones(tmp_path):
    """On a separate file system, each cold read counts once, and cached reads do not count."""
    if missing := lacks(["loop_devices", "mkfs_ext4"]):
        pytest.skip(f"needs {', '.join(missing)}")
    host, size = LocalHost(folder=tmp_path), 8 << 20
    with LoopFileSystem(host, "ext4", 64) as made:
        path = Path(made.path)
        (path / "data").write_bytes(bytes(range(256)) * (size // 256))
        host.run(["sync", "-f", path])
        reads = {}
        for kind, store in (
            ("cold", stores.FileStore(path, drop=True)),
            ("warm", stores.FileStore(path)),
        ):
            if kind == "warm":
                store.get("data")
            before = device_bytes_read(host, path)
            for _ in range(2):
                store.get("data")
            reads[kind] = device_bytes_read(host, path) - before
    assert 2 * size <= reads["cold"] < 2.2 * size and reads["warm"] < 0.1 * size


def test_a_trial_near_the_ceiling_of_the_harness_is_flagged():
    workload = samples.SCALED["resnet50"]
    loop = training_loop.Loop("npy", 2, workload.compute_s, 3)
    result = dict(
        stall_ms=[0.1, 0.2], payload_read=2, payload_used=1, samples_per_s=90.0,
        ceiling_per_s=100.0, elapsed_s=1.0,
        au_configured=0.9, au_measured=0.9, first_batch_ms=1.0, bytes_per_byte_used=1.0,
        requests_per_epoch=1.0,
        cpu_seconds_per_gb=1.0,
    )  # fmt: skip
    cell = make_cell(dict(BASE, backend="tmpfs"))
    assert accelerator.observation(cell, loop, workload, result)["bound_by"] == "the client itself"
    assert (
        accelerator.observation(cell, loop, workload, result | {"ceiling_per_s": 1000.0})[
            "bound_by"
        ]
        == "the loop"
    )
    with pytest.raises(AssertionError, match="stalls"):
        accelerator.observation(cell, loop, workload, result | {"stall_ms": [0.1]})


@pytest.mark.parametrize(
    "name, levels",
    [
        ("training_io/checkpoint", dict(method="rename-fsync", size_mib=16, shards=4)),
        ("training_io/checkpoint", dict(method="multipart", size_mib=16, shards=4)),
        ("training_io/checkpoint", dict(method="multipart-seaweedfs", size_mib=16, shards=4)),
        ("training_io/checkpoint", dict(method="async", size_mib=16, shards=4)),
        ("training_io/checkpoint", dict(method="null", size_mib=16, shards=4)),
        ("training_io/tail", dict(server="rclone", load=0.5)),
        ("training_io/iops_rank", dict(backend="null", client="fio")),
        ("training_io/iops_rank", dict(backend="null", client="nfs")),
        ("training_io/iops_rank", dict(backend="null", client="s3")),
        ("training_io/iops_rank", dict(backend="ext4", client="fio")),
        ("training_io/accelerator", dict(BASE, backend="known")),
        ("training_io/accelerator", dict(BASE, backend="disk")),
        ("training_io/accelerator", dict(BASE, backend="null", loader="torch")),
    ],
)
def test_a_trial_yields_what_is_declared(name, levels, tmp_path):
    experiment, cell = catalog.load(Project.find(), name), make_cell(levels)
    if missing := lacks(experiment.capabilities(cell)):
        pytest.skip(f"needs {', '.join(missing)}")
    programs = tmp_path / "programs"
    programs.mkdir()
    if experiment._build:
        experiment._build(programs)
    host = LocalHost(folder=tmp_path)
    site = SimpleNamespace(
        client=host,
        counts=SimpleNamespace(**experiment.scales["smoke"].counts),
        seed=1,
        programs=programs,
    )

    @tried_again(5, match="no control: the host was so busy")
    def observed():
        return list(experiment._trial(cell, site))

    (observation,) = observed()
    declared = {part.name for part in (*experiment.metrics, *experiment.evidence)}
    assert set(observation) == declared
    optional = {metric.name for metric in experiment.metrics if metric.optional}
    assert all(value is not None for column, value in observation.items() if column not in optional)


def test_our_side_of_the_peer_reads_every_file_once(tmp_path, monkeypatch):
    monkeypatch.setattr(peer, "STEPS", {"retinanet": 3})
    experiment = catalog.load(Project.find(), "training_io/peer")
    programs = tmp_path / "programs"
    peer.build(programs)
    assert (programs / "data" / "retinanet" / "valid").is_dir()
    assert len(list((programs / "data" / "retinanet" / "train").glob("*.npy"))) == 36
    cell = make_cell(dict(storage="tmpfs", workload="retinanet", harness="ours"))
    site = SimpleNamespace(client=LocalHost(folder=tmp_path), seed=1, programs=programs)
    (row,) = peer.trial(cell, site)
    check_observation(experiment.describe(), row)
    assert row["slowdown"] >= 1


@pytest.mark.parametrize(
    "name", ["training_io/accelerator", "training_io/iops_rank", "training_io/tail"]
)
def test_the_data_sets_keep_to_the_announced_disk_space(name, tmp_path):
    """Allow twice the largest folder on top: a trial copies one, and a store may keep it twice."""
    experiment = catalog.load(Project.find(), name)
    experiment._build(tmp_path)
    folders = list((tmp_path / "data").iterdir())
    sizes = [sum(path.stat().st_blocks * 512 for path in folder.iterdir()) for folder in folders]
    assert (
        sum(sizes) + 2 * max(sizes)
        <= min(scale.disk_mb for scale in experiment.scales.values()) * 1e6
    )


def test_checkpoints_keep_to_the_announced_disk_space(tmp_path):
    """Check the largest cell, which keeps an extra state until the new one exists."""
    experiment = catalog.load(Project.find(), "training_io/checkpoint")
    site = SimpleNamespace(client=LocalHost(folder=tmp_path), counts=None, seed=1, programs=None)
    list(experiment._trial(make_cell(dict(method="rename", size_mib=64, shards=4)), site))
    used = sum(path.stat().st_blocks * 512 for path in tmp_path.rglob("*"))
    assert used >= 2 * (64 << 20) and used + (64 << 20) <= experiment.scales["full"].disk_mb * 1e6
