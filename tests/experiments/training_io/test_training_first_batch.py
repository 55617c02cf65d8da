"""Data sets of very many files: made once, known by a digest, and found whole or not at all."""

import sys
from types import SimpleNamespace

import pytest

from benchpaper.core.capabilities import find_capability
from benchpaper.design.spec import make_cell
from benchpaper.hosts.local import LocalHost
from experiments.systems.environment import file_image
from experiments.training_io.clients import stores
from experiments.training_io.data import many_files, samples
from experiments.training_io.first_batch import experiment as module
from experiments.training_io.loops import first_batch

COUNTS = (50, 2000)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if missing := [
        name for name in ("loop_devices", "mkfs_ext4") if not find_capability(name).check()[0]
    ]:
        pytest.skip(f"needs {', '.join(missing)}")
    made = tmp_path_factory.mktemp("image") / "objects.ext4"
    make(made)
    return made


def make(image):
    fill = [sys.executable, "-m", many_files.__name__]
    return file_image.make(image, sum(COUNTS), lambda folder: [*fill, folder, max(COUNTS), *COUNTS])


def test_an_image_is_made_once_and_holds_every_sample(image, tmp_path, left_behind):
    before = image.stat().st_mtime_ns
    assert make(image) == file_image.verify(image) and image.stat().st_mtime_ns == before
    with file_image.Mounted(LocalHost(folder=tmp_path), image) as mounted:
        for count in COUNTS:
            folder = mounted.path / f"objects-{count}"
            assert sorted(path.name for path in folder.iterdir()) == first_batch.written(
                "objects", count
            )
            assert [samples.check(path.read_bytes()) for path in sorted(folder.iterdir())] == list(
                range(count)
            )
        with pytest.raises(OSError, match="Read-only|denied"):
            (folder / "another").write_bytes(b"")
    assert sorted(path.name for path in image.parent.iterdir()) == [
        image.name,
        f"{image.name}.json",
    ]
    assert make(image) == file_image.verify(image)  # reading has not changed it
    assert "mounts" not in left_behind()


def test_an_image_with_a_changed_byte_is_refused(image):
    with open(image, "r+b") as file:
        file.seek(file_image.size_mb(sum(COUNTS)) * 500_000)
        right = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([right[0] ^ 1]))
        file.flush()
        with pytest.raises(file_image.WrongImage, match="remove it"):
            make(image)
        file.seek(-1, 1)
        file.write(right)
    file_image.verify(image)


@pytest.mark.root
def test_an_image_that_could_not_be_filled_is_not_there(tmp_path):
    if missing := [
        name for name in ("loop_devices", "mkfs_ext4") if not find_capability(name).check()[0]
    ]:
        pytest.skip(f"needs {', '.join(missing)}")
    with pytest.raises(OSError, match="ended with"):
        file_image.make(tmp_path / "image", 10, lambda folder: ["false"])
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize("layout", first_batch.LAYOUTS)
def test_a_first_batch_is_found_in_every_layout(tmp_path, layout):
    first_batch.make(tmp_path / layout, layout, 2000)
    listed, done, names, chosen, numbers = first_batch.first(
        stores.FileStore(tmp_path / layout), layout, 32, seed=1
    )
    assert 0 < listed < done and len(set(numbers)) == 32 and numbers == chosen
    assert names == first_batch.written(layout, 2000)
    assert first_batch.is_written(names, layout, 2000)


def test_a_listing_that_lacks_an_object_is_refused(tmp_path):
    first_batch.make(tmp_path / "objects", "objects", 100)
    (tmp_path / "objects" / many_files.name(70)).rename(tmp_path / "objects" / "other")
    plan = (
        '{"store": {"kind": "file", "folder": "%s"}, "layout": "objects", "samples": 100, '
        '"batch": 8, "seed": 1, "warm": true}'
    )
    with pytest.raises(SystemExit, match="not what was written"):
        first_batch.main(plan % (tmp_path / "objects"))


@pytest.mark.root
@pytest.mark.parametrize("backend", ["ext4", "xfs", "s3-rclone", "s3-seaweedfs"])
def test_a_trial_finds_its_data_set_in_the_image(backend, tmp_path, monkeypatch):
    """With images of few files and names in place of those with millions."""
    cell = make_cell(dict(backend=backend, layout="objects", samples=COUNTS[1]))
    monkeypatch.setattr(module, "IMAGE", list(COUNTS))
    monkeypatch.setattr(module, "DISTINCT", 50)
    for made in (*module.LINKED, "s3-seaweedfs"):
        monkeypatch.setitem(module.OBJECTS, made, COUNTS)
    monkeypatch.setattr(module, "IN_FOLDERS", 0)
    if missing := [name for name in module.needs(cell) if not find_capability(name).check()[0]]:
        pytest.skip(f"needs {', '.join(missing)}")
    (tmp_path / "programs" / "image").mkdir(parents=True)
    site = SimpleNamespace(
        client=LocalHost(folder=tmp_path), seed=1, programs=tmp_path / "programs"
    )
    (result,) = module.trial(cell, site)
    assert (
        result["requests"] == module.BATCH and 0 < result["listing_ms"] < result["first_batch_ms"]
    )


def test_the_data_sets_keep_to_the_announced_disk_space(tmp_path):
    """What is made at every scale, and the image that scale full makes on top."""
    module.build(tmp_path)
    used = sum(path.stat().st_blocks * 512 for path in (tmp_path / "data").rglob("*"))
    scales = module.experiment.scales
    assert used <= min(scale.disk_mb for scale in scales.values()) * 1e6
    images = [file_image.size_mb(sum(module.IMAGE))]
    for kind in module.LINKED:
        counts = module.OBJECTS[kind]
        images.append(file_image.size_mb(module.DISTINCT * len(counts), sum(counts), kind))
    assert used + sum(images) * 1e6 <= scales["full"].disk_mb * 1e6
