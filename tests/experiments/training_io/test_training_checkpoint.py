"""Checkpoints: after a crash at any point, the right state loads, or none."""

import shutil
from threading import Event, Thread

import pytest

from benchpaper.hosts.local import LocalHost
from experiments.systems import rclone, seaweedfs
from experiments.training_io.clients import checkpoint, checkpoint_s3, checkpoint_store
from experiments.training_io.clients.checkpoint_async import Async
from experiments.training_io.clients.checkpoint_elsewhere import Bucket, Memory
from experiments.training_io.clients.checkpoint_store import Files, NoCheckpoint, state

SIZE, SHARDS = 64 << 10, 3


@pytest.mark.parametrize("method", checkpoint.FILE_METHODS)
def test_what_is_saved_is_restored(tmp_path, method):
    target = Files(tmp_path, method)
    with pytest.raises(NoCheckpoint):
        target.load()
    for step in (1, 2, 3):
        target.save(step, state(step, SIZE, SHARDS))
        target.make_durable()
        restored_step, shards = target.load()
        assert restored_step == step and [bytes(shard) for shard in shards] == state(
            step, SIZE, SHARDS
        )


def test_only_a_folder_has_a_bound_and_nothing_of_it_stays(tmp_path):
    times = checkpoint.measure(Files(tmp_path, "rename-fsync"), SIZE, SHARDS)
    assert times["bound_ms"] > 0 and not (tmp_path / ".bound").exists()
    assert "bound_ms" not in checkpoint.measure(Memory(), SIZE, SHARDS)


@pytest.mark.parametrize("method", checkpoint.FILE_METHODS)
def test_a_crash_before_any_operation_never_leaves_a_state_that_was_not_saved(tmp_path, method):
    """A renamed checkpoint always survives; in place, most crashes lose it.

    `crashes` raises when an unsaved state loads.
    """
    result = checkpoint.crashes(tmp_path / "crashes", method, SIZE, SHARDS)
    assert result["crash_points"] >= 3 * SHARDS
    assert (result["crash_lost"] == 0) == method.startswith("rename")


def test_an_asynchronous_save_stalls_for_the_copy_and_for_the_save_before(tmp_path):
    """The state may change at once: what is restored is the copy."""
    target, finish = Async(tmp_path), Event()
    write = target._files.save

    def slow(step, shards):
        assert finish.wait(60)
        write(step, shards)

    target._files.save = slow
    live = [bytearray(shard) for shard in state(1, SIZE, SHARDS)]
    target.save(1, live)
    for shard in live:
        shard[:] = bytes(len(shard))
    with pytest.raises(NoCheckpoint):
        target.load()
    second = Thread(target=target.save, args=(2, state(2, SIZE, SHARDS)))
    second.start()
    second.join(0.1)
    assert second.is_alive()
    finish.set()
    second.join()
    target.make_durable()
    step, shards = target.load()
    assert step == 2 and [bytes(shard) for shard in shards] == state(2, SIZE, SHARDS)
    previous = tmp_path / "previous"
    shutil.rmtree(tmp_path / "current")
    assert previous.exists() and [bytes(s) for s in target.load()[1]] == state(1, SIZE, SHARDS)


def test_an_asynchronous_save_that_fails_says_so_at_the_next_one(tmp_path):
    target = Async(tmp_path / "missing")
    target.save(1, state(1, SIZE, SHARDS))
    with pytest.raises(FileNotFoundError):
        target.save(2, state(2, SIZE, SHARDS))


def test_torn_mixed_and_foreign_shards_do_not_load(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, step in ((old, 1), (new, 2)):
        folder.mkdir()
        Files(folder, "overwrite").save(step, state(step, SIZE, SHARDS))

    def broken(change):
        shutil.rmtree(tmp_path / "broken", ignore_errors=True)
        shutil.copytree(new, tmp_path / "broken")
        change(tmp_path / "broken" / "current")
        with pytest.raises(NoCheckpoint) as caught:
            Files(tmp_path / "broken", "overwrite").load()
        return str(caught.value)

    def flip(folder):
        data = bytearray((folder / "001").read_bytes())
        data[len(data) // 2] ^= 1
        (folder / "001").write_bytes(data)

    assert "digest" in broken(flip)
    assert "step" in broken(lambda folder: shutil.copy(old / "current" / "001", folder / "001"))
    assert "form or length" in broken(lambda folder: shutil.copy(folder / "001", folder / "002"))
    assert "ends after" in broken(lambda folder: (folder / "001").write_bytes(b""))
    assert "form or length" in broken(
        lambda folder: (folder / "001").write_bytes((folder / "001").read_bytes()[:-100])
    )
    assert "No such file" in broken(lambda folder: (folder / "002").unlink())


def test_a_bucket_changes_at_once(tmp_path):
    """The object that names the step comes last; until then the old step loads."""
    with rclone.S3(LocalHost(folder=tmp_path)) as server:
        target = Bucket(server.endpoint.as_dict())
        with pytest.raises(NoCheckpoint):
            target.load()
        target.save(1, state(1, SIZE, SHARDS))
        (server.files / "2").mkdir()
        shutil.copy(
            server.files / "1" / "000", server.files / "2" / "000"
        )  # a save of step 2, crashed
        assert target.load()[0] == 1
        target.save(2, state(2, 12 << 20, 1))  # in several parts
        step, (shard,) = target.load()
        assert step == 2 and bytes(shard) == state(2, 12 << 20, 1)[0]


# ---- over S3: the writer is killed between its requests ----

TWO_PARTS = (2 * (checkpoint_store.PART + 1000), 2)  # bytes, shards of two parts each
REQUESTS = 2 * 4 + 1


@pytest.fixture(params=[rclone.S3, seaweedfs.SeaweedFS], ids=["rclone", "seaweedfs"])
def bucket(request, tmp_path):
    with request.param(LocalHost(folder=tmp_path)) as server:
        yield server.endpoint


def test_a_kill_between_any_two_requests_leaves_objects_whole_or_absent(bucket):
    """Each upload can be killed in three places: before either part, and before completion.

    Each leaves an upload, which is listed and then aborted. `crashes` raises when an upload
    stays, an object is torn, or the old state does not load.
    """
    result = checkpoint_s3.crashes(bucket, *TWO_PARTS)
    assert result == {"crash_points": REQUESTS, "crash_lost": 0, "uploads_left": 2 * 3}
    assert (
        checkpoint_s3.Reader(bucket).unfinished() == []
        and checkpoint_s3.Reader(bucket).load()[0] == 2
    )


def test_a_writer_that_names_the_step_first_is_found_out(bucket, monkeypatch):
    def save(writer, step, shards):
        writer._ask("put_object", Key=checkpoint_store.CURRENT, Body=str(step).encode())
        for number, data in enumerate(shards):
            writer._upload(
                f"{step}/{number:03d}",
                b"".join(checkpoint_store.pack(step, number, len(shards), data)),
            )

    monkeypatch.setattr(checkpoint_s3.Writer, "save", save)
    assert checkpoint_s3.crashes(bucket, *TWO_PARTS)["crash_lost"] == REQUESTS - 1


def test_an_object_that_is_torn_is_found_out(bucket):
    reader, writer = checkpoint_s3.Reader(bucket), checkpoint_s3.Writer(bucket)
    writer.save(1, state(1, SIZE, SHARDS))
    assert reader.whole(1, SHARDS) == SHARDS
    writer._upload("1/001", reader.stored("1/001")[:-20])
    with pytest.raises(NoCheckpoint, match="form or length"):
        reader.whole(1, SHARDS)
    reader.forget(1)
    assert reader.whole(1, SHARDS) == 0


def test_the_null_target_gives_back_what_was_saved():
    target = Memory()
    target.save(1, state(1, SIZE, SHARDS))
    step, shards = target.load()
    assert step == 1 and [bytes(shard) for shard in shards] == state(1, SIZE, SHARDS)
