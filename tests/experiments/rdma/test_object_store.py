"""The object store of experiments/rdma/store, run on this machine: what it promises."""

import importlib.util
import os
import shutil

import pytest
from busy_machine import tried_again
from object_store_runs import OBJECTS, SIZE, measure, shell

from experiments.rdma import store
from experiments.systems import ucx

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("libucx")
    or not shutil.which("cc")
    or len(os.sched_getaffinity(0)) < 2,
    reason="needs the libucx wheel, a C compiler and two CPUs",
)


def measured(host, binary, transport, path, iterations=300, server=(), **more):
    with store.Server(host, binary, transport, SIZE, preload=OBJECTS, **dict(server)) as running:
        return measure(host, running, binary, path, SIZE, OBJECTS, iterations, warmup=20, **more)


# ---- what it promises ----

PATHS = [
    *(("posix", path, 1) for path in ("memcpy", "get", "cached", "lookup", "message", "bound",
        "null")),
    *((transport, path, 1) for transport in ("cma", "sysv") for path in ("get", "cached",
        "lookup")),
    *(("tcp", path, outstanding) for path in ("get", "cached", "lookup",
        "message") for outstanding in (1, 16)),
    ("posix", "message", 64),
]  # fmt: skip


@pytest.mark.parametrize("transport, path, outstanding", PATHS, ids=lambda value: str(value))
def test_every_path_gets_whole_objects_and_is_clean_under_sanitizers(
    host, sanitized, transport, path, outstanding
):
    result = measured(
        host, sanitized, transport, path, outstanding=outstanding
    )  # checks transport and contents
    assert result["iterations_done"] == 300 and result["torn"] == result["stale"] == 0
    samples = result["samples_us"] if path != "bound" else result["samples_us"]["cached"]
    assert len(samples) == 300 and (samples > 0).all()
    expected = {"lookup": (300, 300), "cached": (0, 300)}.get(path)
    if expected:
        assert result["index_reads"] >= expected[0] and result["entry_reads"] == expected[1]


def test_shared_memory_is_read_without_the_server(host, binary):
    result = measured(host, binary, "posix", "cached", server=dict(waiting="sleep"))
    assert result["way"] == "ucp_rkey_ptr" and result["server_requests"] == 0


@pytest.mark.parametrize("transport", ["posix", "tcp"])
def test_a_server_that_sleeps_answers(host, sanitized, transport):
    assert (
        measured(host, sanitized, transport, "message", server=dict(waiting="sleep"))[
            "server_requests"
        ]
        >= 300
    )


@pytest.mark.parametrize("path", ["cached", "lookup", "message", "together"])
@pytest.mark.parametrize("transport", ["posix", "tcp"])
def test_batches_get_every_key(host, sanitized, transport, path):
    """A whole batch is a sample, and one message may ask for all of it."""
    batches, keys = 5, 256
    result = measured(host, sanitized, transport, path, batches, batch=keys)
    assert result["right"] == batches * keys and len(result["samples_us"]) == batches
    messages = {"message": batches * keys, "together": batches}.get(path, 0)
    assert result["messages"] == messages
    assert result["server_requests"] >= (batches * keys if messages else 0)


def test_four_megabytes(host, sanitized):
    with store.Server(host, sanitized, "posix", 4 << 20, preload=4) as server:
        for path in ("cached", "message", "get"):
            result = measure(host, server, sanitized, path, 4 << 20, 4, 12)
            assert result["right"] == 12


@pytest.mark.parametrize("path", ["cached", "lookup", "message"])
def test_put_get_discard(host, sanitized, path):
    with store.Server(host, sanitized, "posix", SIZE, capacity=10, heap_mib=1) as server:
        answers = shell(
            host, sanitized, server, "get", "a", "put", "a", "first", "get", "a", "put", "a",
            "again", "get", "a",
            "fill", "a", "70000", "get", "a", "discard", "a", "get", "a", "discard", "a", path=path,
        )  # fmt: skip
    assert [answer["outcome"] for answer in answers] == [
        "there is no such object", "stored", "got", "stored", "got", "stored", "got", "found",
        "there is no such object", "absent",
    ]  # fmt: skip
    assert [answer.get("value") for answer in answers][2:5:2] == ["first", "again"] and answers[6][
        "length"
    ] == 70000
    assert answers[2]["version"] < answers[4]["version"] < answers[6]["version"]


def test_what_is_known_of_an_object_goes_stale_and_is_noticed(host, sanitized):
    with store.Server(host, sanitized, "posix", SIZE, capacity=10, heap_mib=1) as server:
        answers = shell(
            host, sanitized, server, "put", "a", "first", "hold", "a", "put", "a", "again",
            "again",  # changed in place
            "fill", "a", "70000", "again",  # moved
            "put", "b", "other", "discard", "a", "again",  # discarded
            "fill", "c", "70000", "again", "put", "a", "third",
            "again",  # its place is another's; it is elsewhere
        )  # fmt: skip
    got = [answer for answer in answers if answer["outcome"] not in ("stored", "found")]
    assert [answer.get("value", "none")[:5] for answer in got] == [
        "first",
        "again",
        "xxxxx",
        "none",
        "none",
        "third",
    ]
    assert got[3]["outcome"] == got[4]["outcome"] == "there is no such object"


@pytest.mark.parametrize("objects", [10_000, 100_000])
def test_a_lookup_reads_the_index_about_once(host, binary, objects):
    with store.Server(host, binary, "posix", 64, preload=objects, waiting="sleep") as server:
        result = measure(host, server, binary, "lookup", 64, objects, 20_000, max_seconds=60)
        bytes_each = (server.ready["index_bytes"] + server.ready["heap_bytes"]) / server.ready[
            "objects"
        ]
    assert 1 <= result["index_reads"] / 20_000 < 1.1 and bytes_each < 150


# ---- readers and a writer ----


@pytest.mark.parametrize("transport, path, writer", [
    ("posix", "cached", "same-size"), ("posix", "lookup", "resize"), ("posix", "cached", "resize"),
    ("cma", "cached", "same-size"),
])  # fmt: skip
def test_readers_see_whole_versions_under_a_writer(host, binary, transport, path, writer):
    runs = []

    @tried_again(10)  # the writer may not get its turn while there are reads
    def meet():
        with store.Server(host, binary, transport, SIZE, preload=64, heap_mib=64) as server:
            runs.append(
                measure(host, server, binary, path, SIZE, 64, 200_000, writer=writer, keep=False)
            )
        assert runs[-1]["iterations_done"] > 1000 and runs[-1]["server_writes"] > 1000
        assert runs[-1]["changed"] + runs[-1]["moved"] > 0

    meet()
    assert all(
        result["right"] == result["iterations_done"] for result in runs
    )  # and of none once in a while


def test_without_validation_torn_objects_are_seen_and_counted(host, binary):
    runs = []

    @tried_again(10)  # as before
    def tear():
        with store.Server(host, binary, "posix", SIZE, preload=64) as server:
            runs.append(
                measure(
                    host,
                    server,
                    binary,
                    "cached",
                    SIZE,
                    64,
                    300_000,
                    writer="same-size",
                    validate=False,
                )
            )
        assert runs[-1]["torn"] > 0

    tear()
    assert all(
        result["torn"] + result["right"] + result["stale"] == result["iterations_done"]
        for result in runs
    )


def test_clean_under_sanitizers_with_a_writer(host, sanitized):
    for path in ("cached", "lookup", "message"):
        measured(host, sanitized, "posix", path, 3000, writer="resize", server=dict(heap_mib=64))


@pytest.mark.parametrize("change, error", [
    (dict(torn=1, right=299), store.WrongObjects), (dict(stale=1, right=299), store.WrongObjects),
    (dict(right=299), ucx.EvidenceMismatch), (dict(server_requests=299), ucx.EvidenceMismatch),
    (dict(server_failed_writes=1), ucx.EvidenceMismatch),
    (dict(iterations_done=0, right=0), ucx.EvidenceMismatch),
])  # fmt: skip
def test_a_trial_whose_counts_do_not_add_up_is_an_error(change, error):
    good = dict(path="message", iterations_done=300, right=300, torn=0, stale=0,
        server_requests=300, messages=300,
                server_failed_writes=0)  # fmt: skip
    store.check(good)
    with pytest.raises(error):
        store.check({**good, **change})
