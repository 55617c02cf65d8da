"""PUTs of the object store that outlast its server: in a log, and on replicas."""

import importlib.util
import os
import shutil
import signal
from types import SimpleNamespace

import pytest
from object_store_runs import SIZE, shell

from experiments.rdma import store
from experiments.rdma.durable_put.experiment import experiment
from experiments.rdma.store import putting

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("libucx")
    or not shutil.which("cc")
    or len(os.sched_getaffinity(0)) < 2,
    reason="needs the libucx wheel, a C compiler and two CPUs",
)
SMALL = dict(capacity=8, heap_mib=16, waiting="sleep")


def serve(host, binary, **more):
    return store.Server(host, binary, "posix", SIZE, **{**SMALL, **more})


def values(host, binary, server, *keys):
    words = [word for key in keys for word in ("get", key)]
    answers = shell(host, binary, server, *words, path="lookup")
    return [answer.get("value", answer["outcome"]) for answer in answers]


ABSENT = "there is no such object"


@pytest.mark.parametrize("sync", [True, False])
def test_a_killed_server_remembers_what_it_acknowledged(host, sanitized, tmp_path, sync):
    """Also large values, which it fetches, and discards; not what it refused."""
    log = tmp_path / "log"
    with serve(host, sanitized, log=log, sync=sync) as server:
        answers = shell(
            host, sanitized, server, "put", "a", "first", "put", "b", "other", "put", "a", "last",
            "discard", "b", "discard", "never", "fill", "c", "70000", "fill", "d", "9000000",
            path="message",
        )  # fmt: skip
        os.kill(server.process.pid, signal.SIGKILL)
    assert [answer["outcome"] for answer in answers] == [
        "stored", "stored", "stored", "found", "absent", "stored", "value too large",
    ]  # fmt: skip
    with serve(host, sanitized, log=log) as again:
        assert again.ready["objects"] == 2
        assert values(host, sanitized, again, "a", "b", "c", "d") == [
            "last", ABSENT, "x" * 64, ABSENT,
        ]  # fmt: skip


@pytest.mark.parametrize("damage", ["half a record", "a flipped bit", "noise"])
def test_what_a_crash_left_half_written_is_cut_off(host, binary, tmp_path, damage):
    log = tmp_path / "log"
    with serve(host, binary, log=log) as server:
        shell(host, binary, server, "put", "a", "first", "put", "b", "other")
    whole = log.read_bytes()
    record = len(whole) // 2
    if damage == "half a record":
        log.write_bytes(whole[:-3])
    elif damage == "a flipped bit":
        log.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    else:
        log.write_bytes(whole[:record] + b"\xff" * 100)
    with serve(host, binary, log=log) as again:
        assert values(host, binary, again, "a", "b") == ["first", ABSENT]
        shell(host, binary, again, "put", "c", "third")
    with serve(host, binary, log=log) as third:
        assert values(host, binary, third, "a", "c") == ["first", "third"]


def test_a_log_that_does_not_fit_is_an_error(host, binary, tmp_path):
    log = tmp_path / "log"
    with serve(host, binary, log=log) as server:
        shell(host, binary, server, "put", "a", "first", "put", "b", "other")
    with pytest.raises(Exception, match="the log does not fit into the store: index full"):
        serve(host, binary, log=log, capacity=1).__enter__()


def test_replicas_have_what_was_acknowledged(host, sanitized):
    with (
        serve(host, sanitized) as first,
        serve(host, sanitized) as second,
        serve(host, sanitized, replicas=[first, second]) as server,
    ):
        shell(
            host, sanitized, server, "put", "a", "first", "fill", "b", "70000", "put", "c", "gone",
            "discard", "c", path="message",
        )  # fmt: skip
        for replica in (first, second):
            assert values(host, sanitized, replica, "a", "b", "c") == ["first", "x" * 64, ABSENT]


@pytest.mark.parametrize("name", ["KILL", "STOP"])
def test_without_its_replica_nothing_is_acknowledged(host, sanitized, name):
    """Nor is it seen: a reader gets what was acknowledged last."""
    with serve(host, sanitized) as replica, serve(host, sanitized, replicas=[replica]) as server:
        shell(host, sanitized, server, "put", "a", "first")
        replica.signal(name)
        answers = shell(host, sanitized, server, "put", "a", "second", path="message", check=False)
        said = answers.stdout + answers.stderr
        assert "a replica did not keep it" in said or "the server does not live" in said, said
        assert values(host, sanitized, server, "a") == ["first"]
        replica.signal("KILL")


@pytest.mark.parametrize("kept", list(experiment.factors[0].levels))
def test_each_way_to_keep_an_object_is_measured(host, binary, kept):
    [cell] = [c for c in experiment.cells("smoke") if c.kept == kept and not c.twin]
    counts = SimpleNamespace(puts=30, milliseconds=300)
    site = SimpleNamespace(server=host, client=host, seed=7, programs=binary.parent, counts=counts)
    [seen] = experiment._trial(cell, site)
    assert len(seen["latency_us"]) > 0 and seen["read_back"] > 0
    assert (seen["log_on"] == "no log") == ("log" not in kept)


def test_an_object_with_another_value_is_an_error(host, binary, monkeypatch):
    """The check of what was read back can fail: another writer's value is not the last put."""
    with serve(host, binary) as server:
        result = putting.put(host, server, binary, SIZE, 4, 20)
        assert result["right"] == result["written"] == 4
        output = '{"puts": 20, "written": 4, "right": 3}'
        monkeypatch.setattr(host, "run", lambda *_, **__: SimpleNamespace(stdout=output))
        monkeypatch.setattr(putting, "fetch", lambda *_: 0)
        with pytest.raises(store.WrongObjects, match="3 of 4 objects hold the last put"):
            putting.put(host, server, binary, SIZE, 4, 20)
