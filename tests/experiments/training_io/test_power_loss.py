"""What a power cut leaves of a checkpoint, by protocol, layout and file system."""

import io
import json
import struct
import zipfile
from types import SimpleNamespace

import pytest
from checkout import ROOT

from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.spec import make_cell
from benchpaper.results import check_observation
from experiments.systems import s3
from experiments.training_io.clients import checkpoint_power, power_loss, power_loss_s3
from experiments.training_io.clients.power_loss import OUTCOMES, outcome, save
from experiments.training_io.data.checkpoint_files import INDEX, LAYOUTS, TENSORS, files

SIZE = 64 << 10
OLD, NEW = ({name: files(name, step, SIZE) for name in LAYOUTS} for step in (1, 2))


def tensors_of(data):
    """Return {tensor: bytes} of a safetensors file."""
    (length,) = struct.unpack_from("<Q", data)
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    places = {name: entry["data_offsets"] for name, entry in header.items()}
    return {name: body[begin:end] for name, (begin, end) in places.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_holds_every_tensor_and_steps_differ(layout):
    stored = files(layout, 1, SIZE)
    if layout == "torch":
        with zipfile.ZipFile(io.BytesIO(stored["checkpoint.pt"])) as archive:
            assert archive.testzip() is None and "checkpoint/data.pkl" in archive.namelist()
            members = [n for n in archive.infolist() if n.filename.startswith("checkpoint/data/")]
            tensors = {member.filename: archive.read(member) for member in members}
            for member in members:
                archive.fp.seek(member.header_offset + 26)
                name, extra = struct.unpack("<HH", archive.fp.read(4))
                assert (member.header_offset + 30 + name + extra) % 64 == 0
    else:
        shards = [data for name, data in stored.items() if name != INDEX]
        tensors = {name: data for shard in shards for name, data in tensors_of(shard).items()}
    assert len(tensors) == TENSORS and len(b"".join(tensors.values())) == SIZE
    if layout.startswith("sharded"):
        assert json.loads(stored[INDEX])["weight_map"].keys() == tensors.keys()
    assert files(layout, 1, SIZE) == stored != files(layout, 2, SIZE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pace", power_loss.PACES)
@pytest.mark.parametrize("sync", power_loss.SYNCS)
@pytest.mark.parametrize("protocol", ["overwrite", "rename", "async"])
def test_what_is_saved_is_there(protocol, sync, pace, layout, tmp_path, monkeypatch):
    monkeypatch.setattr(power_loss.os, "sync", lambda: None)  # of this whole machine
    synced = []
    monkeypatch.setattr(power_loss.os, "fsync", synced.append)
    save(tmp_path, OLD[layout], "overwrite", sync)
    assert outcome(tmp_path, OLD[layout], NEW[layout]) == "old"
    synced.clear()
    power_loss.begin(tmp_path, NEW[layout], protocol, sync, pace)()
    assert outcome(tmp_path, OLD[layout], NEW[layout]) == "new"
    folders = 2 if layout.startswith("sharded") else 1
    assert len(synced) == {
        "none": 0,
        "file": len(NEW[layout]),
        "folder": folders,
        "both": len(NEW[layout]) + folders,
    }.get(sync)
    assert not list(tmp_path.glob(".*"))


def torn(data):
    return data[:-100] + bytes(100)


FIRST = "model-00001-of-00004.safetensors"
OF_STEP_2 = "model-000002-00001-of-00004.safetensors"
DAMAGE = [
    ("torch", "checkpoint.pt", torn, "torn"),
    ("torch", "checkpoint.pt", lambda data: data[:-1], "torn"),
    ("torch", "checkpoint.pt", lambda data: b"", "empty"),
    ("safetensors", "model.safetensors", lambda data: None, "missing"),
    ("sharded", FIRST, lambda data: OLD["sharded"][FIRST], "mixed"),
    ("sharded", FIRST, torn, "torn"),
    ("sharded", INDEX, lambda data: b"", "empty"),
    ("sharded-by-step", OF_STEP_2, lambda data: None, "missing"),
    ("sharded-by-step", INDEX, lambda data: OLD["sharded-by-step"][INDEX], "old"),
    ("sharded-by-step", INDEX, torn, "torn"),
]


@pytest.mark.parametrize("layout, name, damage, expected", DAMAGE)
def test_each_kind_of_damage_is_told_apart(layout, name, damage, expected, tmp_path):
    save(tmp_path, OLD[layout], "overwrite", "none")
    save(tmp_path, NEW[layout], "overwrite", "none")
    data = damage(NEW[layout][name])
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data)
    assert outcome(tmp_path, OLD[layout], NEW[layout]) == expected


def cuts(sizes, outcomes):
    """What would be seen if writes of these sizes came, and the disk were in these states then."""
    return power_loss.counted(
        ((("saving", outcome, False), size) for size, outcome in zip(sizes, outcomes, strict=True))
    )


def test_the_lost_share_does_not_depend_on_how_writes_are_split():
    """The number of power cuts does: more of them fall into a state with many small writes."""
    whole = cuts([4096, 1 << 20, 8192], ["old", "empty", "new"])
    split = cuts([4096, *[1 << 16] * 16, 4096, 4096], ["old", *["empty"] * 16, "new", "new"])
    assert power_loss.share(whole, "empty") == power_loss.share(split, "empty") > 0.9
    assert power_loss.share(whole, "torn") == 0
    with pytest.raises(SystemExit, match="wrote nothing"):
        power_loss.share(cuts([0, 0], ["old", "new"]), "empty")


def test_what_is_uploaded_is_there_and_the_index_comes_last(tmp_path):
    (tmp_path / s3.BUCKET).mkdir()
    save(tmp_path / s3.BUCKET, OLD["sharded"], "overwrite", "none")
    before = (tmp_path / s3.BUCKET / INDEX).stat().st_mtime_ns
    with power_loss_s3.served(tmp_path) as endpoint:
        power_loss_s3.save(endpoint, NEW["sharded"])
    assert outcome(tmp_path / s3.BUCKET, OLD["sharded"], NEW["sharded"]) == "new"
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / s3.BUCKET).iterdir()}
    # The clock of a file system ticks every few ms, so that a shard may have the same time.
    assert times[INDEX] == max(times.values()) > before


def test_a_server_that_does_not_start_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(power_loss_s3.rclone, "binary", lambda: "/bin/false")
    with pytest.raises(SystemExit, match="did not answer"), power_loss_s3.served(tmp_path):
        pass


def test_an_asynchronous_save_raises_its_error_where_it_is_awaited(tmp_path):
    finish = power_loss.begin(tmp_path / "missing", NEW["torch"], "async", "none")
    with pytest.raises(FileNotFoundError):
        finish()


# ---- in a guest ----


@pytest.fixture(scope="module")
def experiment():
    return catalog.load(Project(ROOT), "training_io/power_loss")


def observed(experiment, host, **levels):
    cell = make_cell({"layout": "torch", "pace": "short", **levels})
    site = SimpleNamespace(client=host, counts=SimpleNamespace(), seed=1)
    rows = list(experiment._trial(cell, site))
    for row in rows:
        check_observation(experiment.describe(), row)
    return rows


# What is known of these file systems: (levels, outcomes that power cuts leave after the return).
KNOWN = [
    # The new name is safe before the data: the checkpoint is there, and has no bytes.
    (dict(file_system="xfs", protocol="rename", sync="none"), {"old", "empty", "new"}),
    (
        dict(file_system="ext4-noauto_da_alloc", protocol="rename", sync="none"),
        {"old", "empty", "new"},
    ),
    # By default, ext4 writes the data of a file before it makes its new name safe.
    (dict(file_system="ext4", protocol="rename", sync="none"), {"old", "new"}),
    (dict(file_system="btrfs", protocol="rename", sync="folder"), {"empty", "new"}),
    (dict(file_system="xfs", protocol="rename", sync="both"), {"new"}),
]


@pytest.mark.slow
@pytest.mark.parametrize("levels, expected", KNOWN)
def test_a_power_cut_leaves_what_is_known_of_the_file_system(
    levels, expected, experiment, guest_host
):
    *rows, total = observed(experiment, guest_host, **levels)
    counted = {name: sum(row[name] for row in rows) for name in ("certain_cuts", "possible_cuts")}
    assert total["cuts"] == sum(counted.values()) and counted["certain_cuts"] >= 4
    assert len(rows) == len(power_loss.PHASES) * len(OUTCOMES)
    left = {
        row["outcome"]
        for row in rows
        if row["phase"] != "saving" and row["certain_cuts"] + row["possible_cuts"]
    }
    assert left == expected
    assert total["durable_at_return"] == (expected == {"new"})
    assert (total["lost_share"] > 0) == ("empty" in expected)
    assert total["mounted"].split()[0] == levels["file_system"].partition("-")[0]


@pytest.mark.slow
def test_a_long_save_in_place_is_torn_and_shards_are_mixed(experiment, guest_host):
    """Even if everything is synced."""
    levels = dict(protocol="overwrite", sync="both", pace="long", layout="sharded")
    rows = observed(experiment, guest_host, file_system="xfs", **levels)
    seen = {row["outcome"] for row in rows[:-1] if row["certain_cuts"] + row["possible_cuts"]}
    assert {"old", "new", "torn", "mixed"} <= seen and rows[-1]["durable_at_return"] == 1


@pytest.mark.slow
def test_an_asynchronous_save_loses_nothing_if_all_is_synced(experiment, guest_host):
    rows = observed(experiment, guest_host, file_system="xfs", protocol="async", sync="both")
    seen = {row["outcome"] for row in rows[:-1] if row["certain_cuts"] + row["possible_cuts"]}
    assert seen == {"old", "new"}
    assert rows[-1]["lost_share"] == 0


@pytest.mark.slow
def test_an_object_that_a_server_has_promised_may_be_lost(experiment, guest_host):
    """rclone's server syncs nothing: on xfs, what it calls complete may have no bytes."""
    rows = observed(experiment, guest_host, file_system="xfs", protocol="multipart", sync="none")
    after = {
        row["outcome"]
        for row in rows[:-1]
        if row["phase"] == "returned" and row["certain_cuts"] + row["possible_cuts"]
    }
    assert after - {"new"} and rows[-1]["durable_at_return"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("method, is_lost", [("overwrite-fsync", True), ("rename-fsync", False)])
def test_power_cuts_lose_a_checkpoint_that_is_overwritten_in_place(method, is_lost, guest_host):
    """If every power cut left a state that loads, the test could not fail."""
    checkpoint = catalog.load(Project(ROOT), "training_io/checkpoint")
    levels = dict(method=f"{method}-power-xfs", size_mib=16, shards=4)
    (row,) = checkpoint._trial(make_cell(levels), SimpleNamespace(client=guest_host))
    check_observation(checkpoint.describe(), row)
    assert row["power_cuts"] >= 10 and row["blocking_ms"] is None
    assert (row["power_lost_share"] > 0) == is_lost


def test_a_state_that_was_never_saved_is_told_from_a_lost_one(tmp_path):
    states = {step: checkpoint_power.state(step, 1 << 10, 2) for step in (1, 2)}
    assert checkpoint_power.loaded(tmp_path, "rename", states) == checkpoint_power.LOST
    for step, expected in ((1, "old"), (2, "new")):
        checkpoint_power.Files(tmp_path, "rename").save(step, states[step])
        assert checkpoint_power.loaded(tmp_path, "rename", states) == expected
    checkpoint_power.Files(tmp_path, "rename").save(3, states[2])
    with pytest.raises(SystemExit, match="never saved"):
        checkpoint_power.loaded(tmp_path, "rename", states)
