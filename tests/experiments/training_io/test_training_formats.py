"""Training data formats: every store returns what was written, and wrong bytes are noticed."""

import concurrent.futures
import json
import struct
import tarfile
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from experiments.training_io.clients import stores
from experiments.training_io.data import dataset, formats, samples
from experiments.training_io.data.formats import mds_format, npy_format, tfrecord_format
from experiments.training_io.data.formats.shards import WrongFile

WORKLOAD = samples.Workload("small", 5000, 1500, 4, 0.001, 0.9)
COUNT, PER_SHARD = 21, 8


@pytest.fixture(scope="module", params=formats.NAMES)
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / request.param
    return request.param, folder, dataset.make(folder, WORKLOAD, COUNT, request.param, PER_SHARD)


def numbers_of(format_name, store):
    module = formats.load(format_name)
    return [
        samples.check(data) for unit in module.units(store) for data in module.read(store, unit)
    ]


@pytest.mark.parametrize("kind", ["null", "file"])
def test_every_sample_is_read_back_once_and_counted(made, kind):
    name, folder, manifest = made
    store = stores.open_store(dict(kind=kind, folder=str(folder)))
    assert sorted(numbers_of(name, store)) == list(range(COUNT))
    assert store.requests >= 3 and manifest["payload_bytes"] <= store.bytes
    if name != "parquet":  # which reads the last 64 KiB of a file for its footer
        assert store.bytes <= 1.02 * manifest["stored_bytes"] + 1000


def test_a_data_set_is_deterministic_and_used_again_only_when_whole(made, tmp_path):
    name, _, manifest = made
    again = dataset.make(tmp_path / "again", WORKLOAD, COUNT, name, PER_SHARD)
    if name != "parquet":  # whose footer may hold what its library likes
        assert again["digest"] == manifest["digest"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "again").iterdir()}
    assert dataset.make(tmp_path / "again", WORKLOAD, COUNT, name, PER_SHARD) == again
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "again").iterdir()} == before
    victim = max((tmp_path / "again").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with pytest.raises(dataset.WrongDataSet, match="digest"):
        dataset.make(tmp_path / "again", WORKLOAD, COUNT, name, PER_SHARD)


def test_another_seed_or_size_makes_another_data_set(tmp_path):
    made = [
        dataset.make(tmp_path / "x", WORKLOAD, 3, "npy", seed=seed)["digest"] for seed in (1, 2)
    ]
    assert (
        made[0] != made[1]
        and dataset.make(tmp_path / "x", WORKLOAD, 4, "npy", seed=2)["files"] == 4
    )


def test_a_changed_byte_of_a_sample_is_noticed():
    data = bytearray(samples.content(3, 1000))
    assert samples.check(data) == 3
    for place in (0, 8, 500, 999):
        wrong = bytearray(data)
        wrong[place] ^= 1
        with pytest.raises(samples.WrongSample):
            samples.check(wrong)
    with pytest.raises(samples.WrongSample):
        samples.check(b"short")
    with pytest.raises(ValueError, match="has no room for its header"):
        samples.content(0, 8)


def test_sizes_keep_to_their_distribution():
    drawn = samples.sizes(samples.PUBLISHED["unet3d"], 4000, 1)
    assert drawn.min() >= samples.LEAST_BYTES and drawn.mean() == pytest.approx(
        146_600_628, rel=0.05
    )
    assert set(samples.sizes(samples.PUBLISHED["resnet50"], 50, 1)) == {114_660}


def test_scaling_keeps_the_rate_that_was_asked_for():
    for name, published in {"unet3d": 3177, "resnet50": 204.75, "cosmoflow": 808.1}.items():
        assert samples.PUBLISHED[name].demand_mb_s == pytest.approx(
            published, rel=1e-3
        )  # one H100, MB/s
        scaled = samples.PUBLISHED[name].scaled(sample=8, batch=2, demand=0.5)
        assert scaled.demand_mb_s == pytest.approx(published / 2, rel=1e-3) and scaled.batch == 2


# ---- TFRecord: known answers ----


def test_crc32c_is_the_published_one_and_masked_as_tensorflow_does():
    import google_crc32c

    assert google_crc32c.value(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert google_crc32c.value(b"\xff" * 32) == 0x62A8AB43
    crc = google_crc32c.value(b"123456789")
    assert crc == 0xE3069283
    assert (
        tfrecord_format.masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
    )


def test_a_record_has_its_published_frame():
    framed = tfrecord_format.frame(b"abc")
    assert (
        struct.unpack("<Q", framed[:8]) == (3,)
        and framed[12:15] == b"abc"
        and len(framed) == 8 + 4 + 3 + 4
    )


@pytest.mark.parametrize("place", [0, 8, 13, 20])
def test_a_changed_byte_of_a_record_is_noticed(place):
    data = bytearray(tfrecord_format.frame(b"0123456"))
    data[place] ^= 1
    with pytest.raises(WrongFile):
        list(tfrecord_format.records(data))


@pytest.mark.parametrize("length", [5, 13, 22])
def test_a_cut_off_file_is_noticed(length):
    with pytest.raises(WrongFile):
        list(tfrecord_format.records(tfrecord_format.frame(b"0123456")[:length]))


# ---- npy ----


@pytest.mark.parametrize(
    "array, size",
    [
        (np.zeros(9, np.uint8), -1),  # cut off
        (np.zeros(9, np.uint8), 40),  # cut off in the header
        (np.zeros(9, np.uint8), 0),
        (np.zeros(9, np.float32), None),
        (np.zeros((3, 3), np.uint8), None),
    ],
)
def test_a_wrong_npy_file_is_noticed(array, size, tmp_path):
    np.save(tmp_path / "0.npy", array)
    (tmp_path / "0.npy").write_bytes((tmp_path / "0.npy").read_bytes()[:size])
    with pytest.raises(WrongFile, match=r"0\.npy"):
        npy_format.read(stores.FileStore(tmp_path), "0.npy")


def test_threads_never_parse_two_headers_at_once(tmp_path, monkeypatch):
    """CPython 3.11 now and then fails where they do."""
    npy_format.write(tmp_path, [samples.content(number, 100) for number in range(8)], 8)
    inside, most, parse = [], [], np.lib.format.read_array_header_1_0

    def watched(file):
        inside.append(file)
        time.sleep(0.01)  # so that another thread would come in
        most.append(len(inside))
        inside.remove(file)
        return parse(file)

    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", watched)
    store = stores.FileStore(tmp_path)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda unit: npy_format.read(store, unit), npy_format.units(store)))
    assert most == [1] * 8


# ---- the others, by other readers ----


def test_an_mds_shard_has_its_published_layout(tmp_path):
    group = [samples.content(number, 100 + number) for number in range(3)]
    mds_format.write(tmp_path, group, 8)
    (shard,) = json.loads((tmp_path / "index.json").read_text())["shards"]
    data = (tmp_path / shard["raw_data"]["basename"]).read_bytes()
    count = np.frombuffer(data[:4], "<u4")[0]
    offsets = np.frombuffer(data[4 : 4 + 4 * (count + 1)], "<u4")
    assert (count, shard["samples"], shard["raw_data"]["bytes"], offsets[-1]) == (
        3,
        3,
        len(data),
        len(data),
    )
    assert (
        json.loads(data[4 + 4 * (count + 1) : offsets[0]])["column_names"] == shard["column_names"]
    )
    for number, sample in enumerate(group):
        stored = data[offsets[number] : offsets[number + 1]]
        assert (np.frombuffer(stored[:4], "<u4")[0], stored[4:]) == (len(sample), sample)


def test_parquet_and_tar_are_read_by_other_readers(tmp_path):
    group = [samples.content(number, 200) for number in range(10)]
    for name in ("parquet", "webdataset"):
        (tmp_path / name).mkdir()
        formats.load(name).write(tmp_path / name, group, 16)
    assert (
        pq.read_table(tmp_path / "parquet" / "00000.parquet").column("sample").to_pylist() == group
    )
    with tarfile.open(tmp_path / "webdataset" / "00000.tar") as tar:
        assert [tar.extractfile(member).read() for member in tar] == group


def test_unknown_formats_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="npy, tfrecord"):
        formats.load("jpeg")
    assert formats.load("npy").units(stores.FileStore(tmp_path)) == []
