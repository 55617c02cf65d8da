"""The object store of experiments/rdma/store, run on this machine: promises and failures."""

import contextlib
import ctypes
import importlib.util
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import time

import numpy as np
import pytest
from busy_machine import tried_again

from benchpaper.hosts import CommandFailed, HostError
from benchpaper.hosts.local import LocalHost
from experiments.rdma import store
from experiments.systems import ucx

SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SIZE, OBJECTS = 4096, 256
PATIENT_S = 30.0  # a lease that a server outlives which does not get its turn for a while

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("libucx")
    or not shutil.which("cc")
    or len(os.sched_getaffinity(0)) < 2,
    reason="needs the libucx wheel, a C compiler and two CPUs",
)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return store.build(tmp_path_factory.mktemp("store") / "store")


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    return store.build(tmp_path_factory.mktemp("sanitized") / "store", SANITIZE)


@pytest.fixture
def host(tmp_path):
    return LocalHost(folder=tmp_path)


def measured(host, binary, transport, path, iterations=300, server=(), **more):
    with store.Server(host, binary, transport, SIZE, preload=OBJECTS, **dict(server)) as running:
        return measure(host, running, binary, path, SIZE, OBJECTS, iterations, warmup=20, **more)


def measure(*arguments, **more):
    return store.measure(*arguments, lease_s=PATIENT_S, **more)


def shell(host, binary, server, *words, path="cached", lease=PATIENT_S, check=True):
    """Run commands of the store's shell; return what each of them told."""
    argv = [
        binary,
        "shell",
        "--connect",
        server.address,
        "--path",
        path,
        "--cpu",
        host.cpus[-1],
        "--lease",
        lease,
        *words,
    ]
    done = host.run(argv, env=ucx.host_environment(host, server.transport), check=check)
    return [json.loads(line) for line in done.stdout.splitlines()] if check else done


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


def test_four_megabytes(host, sanitized):
    with store.Server(host, sanitized, "posix", 4 << 20, preload=4) as server:
        for path in ("cached", "message", "get"):
            found = measure(host, server, sanitized, path, 4 << 20, 4, 12)
            assert found["right"] == 12


@pytest.mark.parametrize("path", ["cached", "lookup", "message"])
def test_put_get_discard(host, sanitized, path):
    with store.Server(host, sanitized, "posix", SIZE, capacity=10, heap_mib=1) as server:
        told = shell(
            host, sanitized, server, "get", "a", "put", "a", "first", "get", "a", "put", "a",
            "again", "get", "a",
            "fill", "a", "70000", "get", "a", "discard", "a", "get", "a", "discard", "a", path=path,
        )  # fmt: skip
    assert [one["outcome"] for one in told] == [
        "there is no such object", "stored", "got", "stored", "got", "stored", "got", "found",
        "there is no such object", "absent",
    ]  # fmt: skip
    assert [one.get("value") for one in told][2:5:2] == ["first", "again"] and told[6][
        "length"
    ] == 70000
    assert told[2]["version"] < told[4]["version"] < told[6]["version"]


def test_what_is_known_of_an_object_goes_stale_and_is_noticed(host, sanitized):
    with store.Server(host, sanitized, "posix", SIZE, capacity=10, heap_mib=1) as server:
        told = shell(
            host, sanitized, server, "put", "a", "first", "hold", "a", "put", "a", "again",
            "again",  # changed in place
            "fill", "a", "70000", "again",  # moved
            "put", "b", "other", "discard", "a", "again",  # discarded
            "fill", "c", "70000", "again", "put", "a", "third",
            "again",  # its place is another's; it is elsewhere
        )  # fmt: skip
    got = [one for one in told if one["outcome"] not in ("stored", "found")]
    assert [one.get("value", "none")[:5] for one in got] == [
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
        found = measure(host, server, binary, "lookup", 64, objects, 20_000, max_seconds=60)
        bytes_each = (server.ready["index_bytes"] + server.ready["heap_bytes"]) / server.ready[
            "objects"
        ]
    assert 1 <= found["index_reads"] / 20_000 < 1.1 and bytes_each < 150


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
        found["right"] == found["iterations_done"] for found in runs
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
        found["torn"] + found["right"] + found["stale"] == found["iterations_done"]
        for found in runs
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


# ---- what goes wrong ----


def running_pair(host, binary, transport, path, lease=1.0, waiting="poll"):
    """Start a server and a measuring reader; retry with another pair if the lease runs out."""
    for _ in range(5):
        server = store.Server(
            host, binary, transport, SIZE, preload=OBJECTS, waiting=waiting
        ).__enter__()
        reader = store.Reader(
            host, server, binary, path, SIZE, OBJECTS, 10**10, max_seconds=60, lease_s=lease,
            keep=False
        ).__enter__()  # fmt: skip
        with contextlib.suppress(HostError):  # that it ended
            reader.wait_until_measuring()
            time.sleep(0.1)
        if reader.process.poll() is None:
            return server, reader
        reader.__exit__()
        server.__exit__()
    raise AssertionError(reader.process.stderr_text())


@pytest.mark.parametrize("transport, path",
    [("posix", "cached"), ("posix", "message"), ("posix", "get"), ("cma", "cached"),
                                             ("tcp", "cached"), ("tcp", "message")])  # fmt: skip
@pytest.mark.parametrize("name", ["KILL", "STOP"])
def test_a_server_that_is_gone_is_noticed(host, sanitized, transport, path, name):
    """Memory of a dead or stopped server still answers; a reader notices by lease or timeout."""
    server, reader = running_pair(host, sanitized, transport, path)
    try:
        os.kill(server.process.pid, getattr(signal, f"SIG{name}"))
        began = time.monotonic()
        assert reader.process.wait(60) == 1
        took, said = time.monotonic() - began, reader.process.stderr_text()
        assert took < 30 and said.count("\n") == 1 and said.startswith("store: "), said
        assert "the server does not live" in said or "could not read" in said, said
    finally:
        reader.__exit__()
        server.process.stop()


def test_a_restarted_server_is_another_one(host, binary):
    server, reader = running_pair(host, binary, "posix", "cached")
    server.__exit__()
    with store.Server(host, binary, "posix", SIZE, preload=OBJECTS) as again:
        assert reader.process.wait(60) == 1
        assert measure(host, again, binary, "cached", SIZE, OBJECTS, 100)["right"] == 100
    reader.__exit__()


@pytest.mark.parametrize("transport", ["posix", "tcp"])
def test_a_client_that_is_killed_leaves_the_server_working(host, sanitized, transport):
    server, reader = running_pair(host, sanitized, transport, "message", lease=PATIENT_S)
    try:
        os.kill(reader.process.pid, signal.SIGKILL)
        reader.process.wait(60)
        found = measure(host, server, sanitized, "message", SIZE, OBJECTS, 50)
        assert found["right"] == 50 and server.process.poll() is None, server.process.stderr_text()
    finally:
        server.__exit__()


def test_full_too_long_too_large(host, sanitized):
    with store.Server(host, sanitized, "posix", SIZE, capacity=2, heap_mib=1) as server:
        told = shell(
            host, sanitized, server, "put", "k" * 128, "v", "put", "b", "v", "put", "c",
            "v",  # two fit
            "put", "b", "w", "get", "c", "put", "k" * 129, "v", "get", "k" * 129, "get", "",
            "fill", "b", "2000000", "fill", "b", "9000000", "get", "b",
        )  # fmt: skip
        by_message = shell(host, sanitized, server, "get", "k" * 129, "get", "b", path="message")
    assert [one["outcome"] for one in told] == [
        "stored", "stored", "index full", "stored", "there is no such object", "key too long",
        "the key is empty or longer than 128 bytes", "the key is empty or longer than 128 bytes",
        "heap full",
        "value too large", "got",
    ]  # fmt: skip
    assert told[-1]["value"] == by_message[1]["value"] == "w"
    assert by_message[0]["outcome"] == "the key is empty or longer than 128 bytes"


def test_a_truncated_reply_is_refused(host, sanitized):
    with store.Server(host, sanitized, "posix", SIZE, preload=4, fault="truncate") as server:
        [told] = shell(host, sanitized, server, "get", "object-000000000", path="message")
    assert told["outcome"] == "the reply is truncated or has no valid entry"


def test_memory_that_cannot_be_is_not_read(host, sanitized):
    with store.Server(host, sanitized, "posix", SIZE, preload=4, fault="geometry") as server:
        done = shell(host, sanitized, server, "get", "a", check=False)
    assert (
        done.returncode == 1 and done.stderr == "store: the server tells of memory that cannot be\n"
    )


@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.0\r\n\r\n", b"\0" * 3, struct.pack("<III", 0x62707374, 1, 1 << 31),
    struct.pack("<III", 0x62707374, 99, 0),
    struct.pack("<IIIQQQ", 0x62707374, 5, 24, 1 << 40, 1 << 40, 1),
])  # fmt: skip
def test_garbage_ends_a_connection_and_not_the_server(host, sanitized, garbage):
    with store.Server(host, sanitized, "posix", SIZE, preload=4) as server:
        with socket.create_connection((host.address, server.ready["port"]), timeout=60) as peer:
            peer.sendall(garbage)
            with contextlib.suppress(OSError):  # a server that has closed it already
                peer.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):  # one that has not read it all
                assert peer.recv(1) == b""
        assert shell(host, sanitized, server, "get", "object-000000001")[0]["outcome"] == "got"


def test_nobody_there(host, binary):
    with store.Server(host, binary, "posix", SIZE, preload=4) as server:
        pass
    with pytest.raises(CommandFailed, match="store: cannot connect to 127.0.0.1 port"):
        shell(host, binary, server, "get", "a")


def test_a_heap_that_is_too_small_for_its_objects(host, binary):
    with pytest.raises(HostError, match="object .* of 1000: heap full"):
        store.Server(host, binary, "posix", SIZE, preload=1000, heap_mib=1).__enter__()


@pytest.mark.parametrize("arguments, complaint", [
    ("", "expected one of: serve, measure, spin, shell"),
    ("serve --listen 127.0.0.1 --cpu 0", "--size is missing"),
    ("serve --listen 127.0.0.1 --cpu 0 --size 12", "expected a multiple of 8"),
    ("serve --listen 127.0.0.1 --cpu 0 --size 64 --waiting long", "expected one of: poll sleep"),
    ("shell --connect 127.0.0.1 --path cached --cpu 0", "expected ADDR:PORT"),
    ("spin --cpu 0 --max-seconds nan", "--max-seconds nan: expected a number"),
    ("spin --cpu 0 --max-seconds 1 extra", "extra: not an option"),
    ("spin --cpu 0 --size 64", "option not known here"),
])  # fmt: skip
def test_bad_usage(host, binary, arguments, complaint):
    done = host.run(
        [binary, *arguments.split()], env=ucx.host_environment(host, "posix"), check=False
    )
    assert (
        done.returncode == 2
        and complaint in done.stderr
        and done.stderr.count("\n") == 1
        and not done.stdout
    )


# ---- parts: the checksum, and the table against a dictionary ----


def library(folder, name, *flags):
    output = folder / f"{name}.so"
    files = [str(store.FOLDER / file) for file in ("digest.c", "table.c")]
    subprocess.run(
        [
            "cc",
            "-std=c11",
            "-O2",
            "-march=x86-64-v2",
            "-shared",
            "-fPIC",
            *flags,
            *files,
            "-o",
            output,
        ],
        check=True,
    )
    loaded = ctypes.CDLL(str(output))
    loaded.digest.restype = ctypes.c_uint64
    loaded.digest.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return loaded


def test_the_checksum_tells_every_line_and_its_place(tmp_path):
    fast, plain = (
        library(tmp_path, "fast"),
        library(tmp_path, "plain", "-D__builtin_cpu_supports(x)=0"),
    )
    lines = [random.Random(n).randbytes(64) for n in range(65)]
    whole = fast.digest(b"".join(lines), 65)
    assert plain.digest(b"".join(lines), 65) == whole  # with and without AVX2
    seen = {whole, *(fast.digest(b"".join(lines[:n]), n) for n in range(65))}
    for n in range(65):  # a line of another version, two lines swapped, one bit flipped
        other, swapped, flipped = list(lines), list(lines), list(lines)
        other[n] = random.Random(1000 + n).randbytes(64)
        swapped[n], swapped[n - 1] = swapped[n - 1], swapped[n]
        flipped[n] = bytes([lines[n][0] ^ 1]) + lines[n][1:]
        seen |= {fast.digest(b"".join(changed), 65) for changed in (other, swapped, flipped)}
    assert len(seen) == 66 + 3 * 65


class Place(ctypes.Structure):
    _fields_ = [("line", ctypes.c_uint32), ("lines", ctypes.c_uint32)]


FILL = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p
)


def test_the_table_is_a_dictionary(tmp_path):
    """20,000 random operations on a nearly full table agree with a Python dictionary."""
    table = library(tmp_path, "table")
    lines, capacity = 1 << 16, 300
    raw = ctypes.create_string_buffer((lines + 1) * 64)
    memory = (ctypes.addressof(raw) + 63) & ~63
    table.create_table.restype = ctypes.c_void_p
    table.create_table.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.c_uint64,
    ]
    created = ctypes.c_void_p(table.create_table(memory, lines, capacity, 1))
    fill = FILL(
        lambda value, length, hash, version, source: ctypes.memmove(value, source, length) and None
    )
    table.put.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        FILL,
        ctypes.c_char_p,
    ]
    table.find.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(Place)]
    table.discard.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    draw, model = random.Random(5), {}
    for step in range(20_000):
        key = b"key-%d" % draw.randrange(400)
        if draw.random() < 0.6:
            value = draw.randbytes(draw.choice([0, 8, 50, 200]))
            stored = table.put(created, key, len(key), len(value), fill, value)
            assert stored == (0 if key in model or len(model) < capacity else 3), step
            if stored == 0:
                model[key] = value
        else:
            assert table.discard(created, key, len(key)) == (
                1 if model.pop(key, None) is not None else 2
            ), step
        probe, place = b"key-%d" % draw.randrange(400), Place()
        found = table.find(created, probe, len(probe), ctypes.byref(place))
        assert found == (1 if probe in model else 2), step
        if found == 1:
            begin = (24 + len(probe) + 7) & ~7
            held = ctypes.string_at(memory + place.line * 64 + begin, len(model[probe]))
            assert held == model[probe], step
    assert len(model) == capacity or len(model) > capacity * 0.7


def test_the_reports_of_one_latency():
    from experiments.rdma.percentiles import experiment as percentiles

    told = percentiles.reports(np.concatenate([np.full(3000, 4.0), np.full(2048, 2.0)]))
    assert (
        told["median_us"],
        told["half_median_us"],
        told["median_last_us"],
        told["p99_last_us"],
    ) == (4.0, 2.0, 2.0, 2.0)
    assert (
        told["p99_us"] == told["p999_us"] == told["largest_us"] == 4.0 and told["least_us"] == 2.0
    )
    assert (
        told["mean_us"] == pytest.approx((3000 * 4 + 2048 * 2) / 5048)
        and told["half_mean_us"] == told["mean_us"] / 2
    )


# ---- the other systems of the ladder ----


def one_trial(name, host, programs, counts=None, **levels):
    """One trial of scale smoke, with other `counts` where they are given."""
    from types import SimpleNamespace

    experiment = importlib.import_module(f"experiments.rdma.{name}.experiment").experiment
    found = [
        cell
        for cell in experiment.cells("smoke")
        if all(cell.levels[k] == v for k, v in levels.items())
    ]
    counts = SimpleNamespace(**{**experiment.scale("smoke").counts, **(counts or {})})
    site = SimpleNamespace(server=host, client=host, seed=7, programs=programs, counts=counts)
    [observation] = experiment._trial(found[0], site)
    return observation


@pytest.mark.parametrize("path", ["http", "rclone-obstore", "null-python"])
def test_other_systems_hand_out_what_was_put(host, tmp_path, path, left_behind):
    found = one_trial("object_get", host, tmp_path, path=path, size_bytes=4096)
    assert (
        len(found["latency_us"]) >= 100
        and found["gets_per_s"] > 0
        and not left_behind().get("processes")
    )


@tried_again(10)  # a reader that is held up stalls as well
def test_a_stopped_server_stalls_messages_and_not_reads(host, binary):
    @tried_again(10, RuntimeError, match="ended before the stop did")
    def stalled(path):
        counts = dict(milliseconds=1500, stop_ms=500)
        return one_trial("target_stall", host, binary.parent, counts, path=path, server="stopped")

    read, asked = (stalled(path) for path in ("cached", "message"))
    assert asked["stall_share"] > 0.9 and read["stall_share"] < asked["stall_share"]
