"""The measuring program of rdma/fabric, run for real on this machine's loopback."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import struct
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from busy_machine import tried_again
from checkout import ROOT

from benchpaper.hosts import CommandFailed
from benchpaper.hosts.local import LocalHost
from experiments.rdma.fabric import program, ucx_perftest
from experiments.systems import ucx

SOURCES = ROOT / "experiments" / "rdma" / "fabric"
TRANSPORTS = [name for name, transport in ucx.TRANSPORTS.items() if transport.executed_by_authors]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("libucx")
    or not shutil.which("cc")
    or len(os.sched_getaffinity(0)) < 2,
    reason="needs the libucx wheel, a C compiler and two CPUs",
)


def cells(sizes, windows):
    return [
        (transport, operation, size, outstanding)
        for transport in TRANSPORTS
        for operation in ucx.OPERATIONS
        for size in sizes
        for outstanding in windows
        if ucx.supported(transport, operation, size, outstanding)
    ]


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return ucx.build(SOURCES, tmp_path_factory.mktemp("fabric") / "fabric")


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    return ucx.build(SOURCES, tmp_path_factory.mktemp("sanitized") / "fabric", SANITIZE)


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return ucx_perftest.build_bind_to(tmp_path_factory.mktemp("shim") / "bind_to.so")


@pytest.fixture
def host(tmp_path):
    return LocalHost(folder=tmp_path)


def measured(host, binary, cell, iterations=300, warmup=30, **more):
    with program.Responder(host, binary, cell[0]) as responder:
        result = program.measure(host, responder, binary, *cell, iterations, warmup, **more)
    if cell[3] == 1:  # the samples leave nothing out
        trips = 1 if cell[1] == "get" else 2
        assert result["samples_us"].sum() * trips / 1e6 == pytest.approx(
            result["elapsed_s"], rel=1e-3
        )
    return result


@pytest.mark.parametrize(
    "cell", cells([8], [1]) + cells([65536], [16]), ids=lambda cell: "-".join(map(str, cell))
)
def test_every_operation_is_timed_and_seen_by_the_other_side(host, binary, cell):
    result = measured(host, binary, cell)  # checks the transport and both sides' evidence
    assert len(result["samples_us"]) == 300 and (result["samples_us"] > 0).all()
    assert result["transport_used"] in ucx.TRANSPORTS[cell[0]].names
    assert not result["stopped_early"] and result["cpu_pinned"] == host.cpus[-1]


def test_large_operations(host, binary):
    for operation in ucx.OPERATIONS:
        assert (
            len(measured(host, binary, ("cma", operation, 4 << 20, 4), 20, 2)["samples_us"]) == 20
        )


def test_the_floor_is_far_below_any_transport(host, binary):
    result = program.null(host, binary, 1, 10000, 1000)
    assert len(result["samples_us"]) == 10000 and np.median(result["samples_us"]) < 0.1


@tried_again(10)  # a busy machine may hold it up, but not each time
def test_stops_in_time_and_says_so(host, binary):
    result = measured(host, binary, ("posix", "put", 8, 1), iterations=20_000_000, max_seconds=0.3)
    assert result["stopped_early"] and 0 < result["iterations_done"] == len(result["samples_us"])
    assert result["elapsed_s"] == pytest.approx(0.3, rel=0.3)


def test_another_transport_than_the_one_asked_for_is_an_error(host, binary):
    with pytest.raises(
        ucx.TransportMismatch, match="asked for cma, but UCX does a message of 8 B over sysv"
    ):
        measured(host, binary, ("cma", "message", 8, 1))


@pytest.mark.parametrize("seen", [dict(operations=299), dict(verified=0), dict(bytes=1)])
def test_sides_that_disagree_are_an_error(host, binary, seen):
    result = measured(host, binary, ("posix", "message", 8, 1))
    result["server"].update(seen)
    with pytest.raises(ucx.EvidenceMismatch, match="the server saw"):
        program.check_evidence(result)


def test_protocols_of_several_rails_are_all_named():
    text = (
        "{proto} am_send from host memory length 65536 rendezvous (?) 52% on tcp/lo and 48% on "
        "rc_mlx5/mlx5_0:1 1 MB/s"
    )
    assert ucx.parse_protocol(text) == ("rc_mlx5+tcp", "rendezvous (?)")


@pytest.mark.parametrize("cell", cells([65536], [1, 16]), ids=lambda cell: "-".join(map(str, cell)))
def test_clean_under_sanitizers(host, sanitized, cell):
    measured(host, sanitized, cell, iterations=100, warmup=10)


# ---- what goes wrong ----

NOTICED_S = 30  # what is waited at most: the programs give up after 5 s, later on a busy machine


@contextlib.contextmanager
def measuring_pair(host, binary, transport, operation, outstanding):
    """Yield a server and its client, both processes, while they measure."""
    with program.Responder(host, binary, transport) as responder:
        server = responder.process
        argv = [
            binary, "measure", "--connect", responder.address, "--operation", operation,
            "--size", 4096, "--outstanding", outstanding, "--iterations", 20_000_000,
            "--warmup", 0, "--max-seconds", 60, "--cpu", host.cpus[-1],
            "--samples", host.scratch() / "samples",
        ]  # fmt: skip
        with host.start(argv, env=ucx.host_environment(host, transport)) as client:
            # They use 0.1 s until the loop runs, and then all that they get.
            for process in (server, client):
                while process.poll() is None and cpu_seconds(process) < 0.3:
                    time.sleep(0.01)
            assert client.poll() is None, client.stderr_text()
            yield server, client


def cpu_seconds(process):
    return sum(psutil.Process(process.pid).cpu_times()[:2])


def fails_with_one_line(process):
    assert process.wait(NOTICED_S) == 1
    lines = process.stderr_text().strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("fabric: "), lines


# Together they cover a client that waits for an answer, a read or a free place, and a server that
# echoes or attends.
@pytest.mark.parametrize(
    "transport, operation, outstanding",
    [("posix", "get", 1), ("posix", "message", 16), ("tcp", "put", 1), ("tcp", "get", 16)],
)
def test_a_killed_peer_ends_the_other_side_at_once(host, binary, transport, operation, outstanding):
    cell = transport, operation, outstanding
    with measuring_pair(host, binary, *cell) as (server, client):
        os.kill(server.pid, signal.SIGKILL)
        fails_with_one_line(client)
    with measuring_pair(host, binary, *cell) as (server, client):
        os.kill(client.pid, signal.SIGKILL)
        fails_with_one_line(server)


def test_a_silent_server_is_given_up(host, binary):
    with measuring_pair(host, binary, "posix", "put", 1) as (server, client):
        os.kill(server.pid, signal.SIGSTOP)
        try:
            fails_with_one_line(client)
        finally:
            os.kill(server.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "garbage, complaint",
    [
        (b"GET / HTTP/1.0\r\n\r\n", "not fabric's protocol"),
        (b"\x00" * 3, "closed the connection"),
        (struct.pack("<III", 0x62617266, 1, 1 << 31), "bytes where at most"),
        (struct.pack("<III", 0x62617266, 9, 0), "not frame 1"),
        (struct.pack("<IIIIIQQQd", 0x62617266, 1, 40, 0, 1, 1 << 40, 1, 0, 1.0), "out of bounds"),
        (
            struct.pack("<IIIIIQQQd", 0x62617266, 1, 40, 0, 1, 8, 1, 0, float("nan")),
            "out of bounds",
        ),
    ],
)
def test_garbage_is_refused(host, sanitized, garbage, complaint):
    with program.Responder(host, sanitized, "posix") as responder:
        address, port = responder.address.rsplit(":", 1)
        with socket.create_connection((address, int(port))) as peer:
            peer.sendall(garbage)
            with contextlib.suppress(OSError):  # it may have refused it already, and be gone
                peer.shutdown(socket.SHUT_WR)
            assert responder.process.wait(NOTICED_S) == 1
    assert complaint in responder.process.stderr_text()


def test_nobody_there(host, binary):
    def measure():
        with program.Responder(host, binary, "posix") as responder:
            responder.process.stop()
            program.measure(host, responder, binary, "posix", "put", 8, 1, 10, 0)

    with pytest.raises(CommandFailed, match="cannot connect to 127.0.0.1 port"):
        measure()


GOOD = "--outstanding 1 --iterations 10 --warmup 1 --max-seconds 1 --cpu 0 --samples s"


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ("", "expected one of: serve, measure, null"),
        ("serve --listen 127.0.0.1", "--cpu is missing"),
        ("serve --listen 127.0.0.1 --cpu x", "--cpu x: expected a whole number"),
        ("null " + GOOD.replace("--iterations 10", "--iterations 0"), "--iterations 0: expected"),
        (
            "null " + GOOD.replace("--iterations 10", "--iterations 1e99"),
            "--iterations 1e99: expected",
        ),
        (
            "null " + GOOD.replace("--max-seconds 1", "--max-seconds nan"),
            "--max-seconds nan: expected",
        ),
        ("null " + GOOD + " --size 8", "option not known here"),
        ("null " + GOOD + " extra", "extra: not an option"),
        (f"measure --connect 127.0.0.1 --operation put --size 8 {GOOD}", "expected ADDR:PORT"),
        (f"measure --connect 127.0.0.1:99999 --operation put --size 8 {GOOD}", "port 99999"),
        (
            f"measure --connect 127.0.0.1:9 --operation push --size 8 {GOOD}",
            "expected put, get or message",
        ),
        (
            f"measure --connect 127.0.0.1:9 --operation put --size 12 {GOOD}",
            "expected a multiple of 8",
        ),
    ],
)
def test_bad_usage(host, binary, arguments, complaint):
    done = host.run([binary, *arguments.split()], env=ucx.environment(host, "posix"), check=False)
    assert (
        done.returncode == 2
        and complaint in done.stderr
        and done.stderr.count("\n") == 1
        and not done.stdout
    )


def test_a_transport_that_is_not_there(host, binary):
    with pytest.raises(CommandFailed, match="fabric: .*UCX"):
        measured(host, binary, ("rc", "put", 8, 1))


# ---- the independent control ----

# Cells where a wrong loop is far off: by 2 if a round trip is not halved, by 3 and more if it
# only posts.
CONTROL_CELLS = [
    ("posix", "put", 4096),
    ("sysv", "message", 65536),
    ("cma", "get", 4096),
    ("tcp", "message", 4096),
]
ITERATIONS = 5000

NOT_HALVED = [("answered(&t.plan) ? tick_ns / 2 : tick_ns", "tick_ns")]
POSTING_ONLY = [
    ("static inline void ping(", "static uint64_t posted;\nstatic inline void ping("),
    (
        "    ucs_status_ptr_t request = post_numbered(t, sequence);\n",
        "    ucs_status_ptr_t request = post_numbered(t, sequence);\n    posted = ticks();\n",
    ),
    ("        uint64_t now = ticks();\n", "        uint64_t now = posted;\n"),
    ("        before = now;\n", "        before = ticks();\n"),
]


def agrees(ratio):
    return 1 / ucx_perftest.CONTROL_TOLERANCE <= ratio <= ucx_perftest.CONTROL_TOLERANCE


@pytest.mark.parametrize("cell", CONTROL_CELLS, ids=lambda cell: "-".join(map(str, cell)))
@tried_again(5)  # one of the two programs may be held up
@tried_again(
    5, RuntimeError, match="ucx_perftest (failed|printed no result)"
)  # or its port be taken
def test_agrees_with_ucx_perftest(host, binary, shim, cell):
    assert agrees(ucx_perftest.control_ratio(host, host, binary, shim, *cell, ITERATIONS))


@pytest.mark.parametrize("change", [NOT_HALVED, POSTING_ONLY], ids=["not halved", "posting only"])
def test_a_wrong_loop_fails_the_control(host, shim, tmp_path, change):
    sources = shutil.copytree(SOURCES, tmp_path / "sources")
    text = (sources / "fabric.c").read_text()
    for old, new in change:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (sources / "fabric.c").write_text(text)
    wrong = ucx.build(sources, tmp_path / "wrong")

    @tried_again(3)  # what holds ucx_perftest up hides it
    def is_found_out():
        ratio = ucx_perftest.control_ratio(
            host, host, wrong, shim, "posix", "put", 4096, ITERATIONS, pairs=3
        )
        assert not agrees(ratio)

    is_found_out()


def test_the_control_listens_on_the_given_address_only(host, shim):
    port = host.free_port()
    variables = {**ucx.environment(host, "posix"), "LD_PRELOAD": str(shim), "BIND_TO": "127.0.0.1"}
    with host.start([ucx.folder() / "bin" / "ucx_perftest", "-p", port], env=variables):
        for _ in range(600):
            lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            listening = [
                line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{port:04X}")
            ]
            if listening:
                break
            time.sleep(0.05)
    assert listening == [f"0100007F:{port:04X}"]
