"""The clients that load storage: signatures, contents, rates, known pauses, their own ceiling."""

import json
import os
import time
from contextlib import closing

import numpy as np
import pytest
from busy_machine import tried_again

from benchpaper.hosts.local import LocalHost
from experiments.systems import rclone
from experiments.training_io import backends
from experiments.training_io.clients import blocks, fio, open_loop, random_reads, s3_wire, stores
from experiments.training_io.null import null_nfs, null_s3, targets


@pytest.fixture
def host(tmp_path):
    return LocalHost(folder=tmp_path)


@pytest.fixture
def served(host, tmp_path):
    files = (
        tmp_path / "served" / "bench"
    )  # written before the server starts: it remembers what it has listed
    files.mkdir(parents=True)
    blocks.make(files / "blocks", 1)
    for number in range(1005):  # more than one page of a listing
        (files / f"{number:04d} &.bin").write_bytes(b"%d" % number)
    with rclone.S3(host, files.parent) as server:
        yield server.endpoint


def test_the_signature_is_that_of_the_published_example():
    """Amazon S3 API reference, "Example: GET Object"."""
    result = s3_wire.sign(
        "GET", "examplebucket.s3.amazonaws.com", "/test.txt", "",
        ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "20130524T000000Z",
        extra=[("range", "bytes=0-9")],
    )  # fmt: skip
    assert result.endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


@pytest.fixture
def store(served):
    with closing(stores.open_store(backends.s3_store(served))) as opened:
        yield opened


def test_objects_ranges_and_long_listings(store):
    names = store.list()
    assert len(names) == 1006 and store.size("blocks") == 1 << 20
    assert bytes(store.get("1004 &.bin")) == b"1004"
    blocks.check(store.get_range("blocks", 5 * 4096, 4096), 5)
    with pytest.raises(blocks.WrongBlock):
        blocks.check(store.get_range("blocks", 5 * 4096, 4096), 6)
    with pytest.raises(s3_wire.S3Error, match="404"):
        store.get("nothing of that name")


def test_wrong_credentials_are_refused(served):
    wrong = {**backends.s3_store(served), "credentials": (served.access_key, "0" * 32)}
    with (
        closing(stores.open_store(wrong)) as refused,
        pytest.raises(s3_wire.S3Error, match="403"),
    ):
        refused.get("blocks")


@tried_again(5)
def test_five_times_as_many_gets_per_core_as_boto3(served, store):
    """Compare 4 KiB GETs per second of client CPU time; best of three."""
    boto = served.boto()
    rates = {"ours": [], "boto3": []}

    def ours():
        store.get_range("blocks", 0, 4096)

    def by_boto():
        boto.get_object(Bucket=served.bucket, Key="blocks", Range="bytes=0-4095")["Body"].read()

    for _ in range(3):
        for name, get, count in (("ours", ours, 400), ("boto3", by_boto, 100)):
            get()
            begin = time.process_time()
            for _ in range(count):
                get()
            rates[name].append(count / (time.process_time() - begin))
    assert max(rates["ours"]) > 5 * max(rates["boto3"])


# ---- open and closed loop ----


@pytest.fixture
def pausing(host):
    with targets.s3(host, 4096, stall_s=0.1, every_s=0.5) as server:
        yield stores.open_store(server.store)


@tried_again(20)
def test_an_open_loop_sees_the_pauses_that_the_closed_form_tells(pausing):
    """A request due in the pause waits for its end.

    P(wait > x) = (0.1 - x)/0.5; the mean is 0.1²/(2·0.5) = 10 ms.
    """
    due = open_loop.due_times(400, 1.5, seed=3)
    result = open_loop.run(pausing, ["x"], 8, due=due, seed=3)
    waits = np.sort(result["intended_us"]) / 1e3
    assert len(waits) == 600 and result["rate"] == pytest.approx(400, rel=0.1)
    assert np.quantile(waits, 0.9) == pytest.approx(50, abs=15) and np.quantile(
        waits, 0.99
    ) == pytest.approx(95, abs=20)
    assert waits.mean() == pytest.approx(10, abs=5)


@tried_again(20)
def test_a_closed_loop_hides_them(pausing):
    result = open_loop.run(pausing, ["x"], 2, seconds=1.2, seed=3)
    assert np.quantile(result["sent_us"], 0.99) / 1e3 < 50  # two requests a pause, of thousands


def test_due_times_are_a_poisson_process_with_the_rate_asked_for():
    due = open_loop.due_times(1000, 2, seed=1)
    assert len(due) == 2000 and 0 <= due.min() <= due.max() <= 2
    gaps = np.diff(due)
    assert gaps.mean() == pytest.approx(0.001, rel=0.05) and gaps.std() == pytest.approx(
        0.001, rel=0.1
    )


def test_an_error_of_the_server_ends_the_run(store):
    with pytest.raises(s3_wire.S3Error, match="404"):
        open_loop.run(store, ["missing"], 4, seconds=1)


# ---- random reads ----


def test_random_reads_over_every_view_of_one_file(host, tmp_path):
    folder = tmp_path / "both"
    folder.mkdir()
    blocks.make(folder / "blocks", 2)
    for store in (stores.FileStore(folder), random_reads.DirectFile(folder, "blocks")):
        result = random_reads.random_blocks(store, "blocks", 2, 0.5)
        assert result["ops"] > 10 and result["p50_us"] <= result["p99_us"] and result["cpu_s"] > 0
    assert random_reads.in_order(stores.FileStore(folder), "blocks", 0.5)["mb_s"] > 0
    with open(folder / "blocks", "r+b") as file:
        file.write(b"wrong")
    with pytest.raises(blocks.WrongBlock):
        random_reads.in_order(stores.FileStore(folder), "blocks", 60)


@pytest.mark.parametrize("keep, opened", [(True, 1), (False, 3)])
def test_a_store_may_keep_its_files_open(keep, opened, tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"abcdef")
    names, closed, real_open, real_close = [], [], os.open, os.close

    def noted_open(name, *more, **options):  # others open files meanwhile, in other ways
        file = real_open(name, *more, **options)
        if str(name) == str(path):
            names.append(file)
        return file

    monkeypatch.setattr(stores.os, "open", noted_open)
    monkeypatch.setattr(stores.os, "close", lambda file: (closed.append(file), real_close(file)))
    store = stores.FileStore(tmp_path, keep=keep)
    assert [store.get_range("x", 1, 2), store.get("x")] == [b"bc", b"abcdef"]
    with pytest.raises(OSError, match="could be read"):
        store.get_range("x", 4, 9)
    assert len(names) == opened
    store.close()
    assert sorted(file for file in closed if file in names) == sorted(names)


@pytest.mark.skipif(fio.version() == "none", reason="needs fio")
def test_fio_is_read_right(host, tmp_path):
    blocks.make(tmp_path / "blocks", 2)
    result = fio.read(
        host, tmp_path / "blocks", pattern="randread", block="4k", jobs=2, seconds=0.2
    )
    assert (
        result["iops"] * 4096 / 1e6 == pytest.approx(result["mb_s"], rel=0.05)
        and result["p50_us"] <= result["p99_us"]
    )
    assert (
        0.19 <= result["runtime_s"] < 30
    )  # fio takes a runtime of 0.2 for none, and reads the file once
    text = json.dumps({"jobs": [{"read": {"total_ios": 0}}]})
    with pytest.raises(ValueError, match="nothing"):
        fio.parse("fio: a note\n" + text)


@tried_again(5)
def test_fio_has_a_ceiling_of_its_own(host):
    if fio.version() == "none":
        pytest.skip("needs fio")
    result = fio.read(host, None, pattern="randread", block="4k", jobs=2, seconds=0.2)
    assert result["iops"] > 10_000 and 0.19 <= result["runtime_s"] < 30


def test_the_null_nfs_server_is_read_by_the_real_client(host):
    with targets.nfs(host, 1 << 20) as server, closing(stores.open_store(server.store)) as store:
        assert store.size("blocks") == 1 << 20 and bytes(store.get("blocks")) == bytes(1 << 20)
        assert store.get_range("blocks", 4096, 4096) == bytes(4096) and store.get_range(
            "blocks", 0, 5
        ) == bytes(5)
        with pytest.raises(OSError, match="ended it"):
            store.get_range("blocks", (1 << 20) - 10, 100)
        result = random_reads.random_blocks(store, "blocks", 2, 0.5, unchecked_mib=1)
    assert result["ops"] > 10 and result["cpu_s"] > 0


@pytest.mark.parametrize(
    "split, data, requests",
    [
        (null_s3.split, b"GET /a\r\n\r\nGET /b\r\n\r\n", [b"GET /a", b"GET /b"]),
        (null_nfs.split, b"\x80\0\0\x02ab\x80\0\0\x04cdef", [b"ab", b"cdef"]),
    ],
    ids=["s3", "nfs"],
)
def test_a_null_server_waits_for_the_rest_of_a_request(split, data, requests):
    complete, rest = [], b""
    for place in range(len(data)):
        more, rest = split(rest + data[place : place + 1])
        complete += more
    assert complete == requests and rest == b""
    assert split(data) == (requests, b"")


def test_the_null_nfs_server_refuses_what_it_does_not_know():
    answers = null_nfs.Answers(4096)
    write = null_nfs.struct.pack(">6I4I", 7, 0, 2, null_nfs.NFS, 3, 7, 0, 0, 0, 0)
    assert answers.call(write) == null_nfs.struct.pack(">6I", 7, 1, 0, 0, 0, 3)
