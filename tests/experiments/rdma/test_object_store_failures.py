"""The object store: what goes wrong, and how it says so."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import struct
import time

import killed_midway
import pytest
from object_store_runs import OBJECTS, PATIENT_S, SIZE, measure, shell

from benchpaper.hosts import CommandFailed, HostError
from experiments.rdma import store
from experiments.systems import ucx

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("libucx")
    or not shutil.which("cc")
    or len(os.sched_getaffinity(0)) < 2,
    reason="needs the libucx wheel, a C compiler and two CPUs",
)


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


@pytest.mark.parametrize("transport", ["posix", "sysv", "tcp"])
def test_a_client_that_is_killed_leaves_the_server_working(host, sanitized, transport):
    server, reader = running_pair(host, sanitized, transport, "message", lease=PATIENT_S)
    try:
        os.kill(reader.process.pid, signal.SIGKILL)
        reader.process.wait(60)
        result = measure(host, server, sanitized, "message", SIZE, OBJECTS, 50)
        assert result["right"] == 50 and server.process.poll() is None, server.process.stderr_text()
    finally:
        server.__exit__()


def test_a_client_that_is_killed_while_it_sends_holds_up_nobody(host, binary):
    """It leaves a hole in a queue of UCX's shared memory, behind which nothing arrives."""
    server, reader = running_pair(host, binary, "posix", "message", lease=PATIENT_S)
    try:
        try:
            killed_midway.kill_midway(reader.process.pid, server.process.pid)
        except PermissionError as error:
            pytest.skip(f"a process may not trace another one here: {error}")
        result = measure(host, server, binary, "message", SIZE, OBJECTS, 50)
        assert result["right"] == 50
    finally:
        reader.__exit__()
        server.__exit__()


def test_full_too_long_too_large(host, sanitized):
    with store.Server(host, sanitized, "posix", SIZE, capacity=2, heap_mib=1) as server:
        answers = shell(
            host, sanitized, server, "put", "k" * 128, "v", "put", "b", "v", "put", "c",
            "v",  # two fit
            "put", "b", "w", "get", "c", "put", "k" * 129, "v", "get", "k" * 129, "get", "",
            "fill", "b", "2000000", "fill", "b", "9000000", "get", "b",
        )  # fmt: skip
        by_message = shell(host, sanitized, server, "get", "k" * 129, "get", "b", path="message")
    assert [answer["outcome"] for answer in answers] == [
        "stored", "stored", "index full", "stored", "there is no such object", "key too long",
        "the key is empty or longer than 128 bytes", "the key is empty or longer than 128 bytes",
        "heap full",
        "value too large", "got",
    ]  # fmt: skip
    assert answers[-1]["value"] == by_message[1]["value"] == "w"
    assert by_message[0]["outcome"] == "the key is empty or longer than 128 bytes"


def test_a_truncated_reply_is_refused(host, sanitized):
    with store.Server(host, sanitized, "posix", SIZE, preload=4, fault="truncate") as server:
        [answers] = shell(host, sanitized, server, "get", "object-000000000", path="message")
    assert answers["outcome"] == "the reply is truncated or has no valid entry"


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
            with contextlib.suppress(ConnectionResetError):  # not all was read
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
    ("", "expected one of: serve, measure, put, spin, shell"),
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
