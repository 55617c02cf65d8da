"""UCX as a system under test: its transports, the measuring program `fabric`, and `ucx_perftest` as its control.

UCX comes from the wheel `libucx-cu12`, which is found by name and never loaded into this process.
"""

import importlib.util
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchpaper.hosts.probe import capability

OPERATIONS = ("put", "get", "message")

# With one operation outstanding, the median of `fabric` over that of `ucx_perftest`, as the median of 5 alternating
# pairs, lies within [1/CONTROL_TOLERANCE, CONTROL_TOLERANCE]. Found on two shared cores at 8 B, 4 KiB and 64 KiB, once
# a cell: posix (all operations), sysv (messages), cma and tcp (all operations) gave 0.91 to 1.06, tcp 0.99 to 1.01.
# The exceptions are where cma reads: get 1.11 and message 1.16 at 64 KiB, get 1.2 at 4 MiB (3 pairs). ucx_perftest
# never writes what it reads there (so most likely reads the kernel's zero page, which stays in the cache): `fabric`
# without its pattern gave 0.97 to 1.01. A round trip not halved gives about 2. A single pair has been off by 4, when
# only one of its runs met two virtual CPUs that were close together. With more outstanding the bandwidths of both
# programs scatter by 2 to 10 from run to run here, so there is no tolerance for them.
CONTROL_TOLERANCE = 1.3


class TransportMismatch(RuntimeError):
    """UCX took another transport than the one asked for."""


class EvidenceMismatch(RuntimeError):
    """What the two sides counted, or the contents that arrived, do not agree with what was measured."""


@dataclass(frozen=True)
class Transport:
    """One way to move bytes: what to ask UCX for, and the names by which UCX then calls what it took."""

    asked: str
    names: tuple
    extra: dict = field(default_factory=dict)
    executed_by_authors: bool = True


# UCX hooks the process's memory calls, to forget registrations of memory that is unmapped. Only adapters have
# registrations to forget, and the hooks cost 0.4 s at each start (50 ms for each of eight hooks).
_NO_HOOKS = {"UCX_MEM_EVENTS": "n"}

TRANSPORTS = {
    "posix": Transport("posix", ("posix",), _NO_HOOKS),
    "sysv": Transport("sysv", ("sysv",), _NO_HOOKS),
    # cma copies between address spaces but cannot set up a connection or carry a short message: sysv does that
    # beside it. Ordinary memory (mmap) keeps UCX from reaching puts through sysv's shared memory instead.
    "cma": Transport("cma,sysv", ("cma",), {"UCX_ALLOC_PRIO": "mmap", **_NO_HOOKS}),
    "tcp": Transport("tcp", ("tcp",), _NO_HOOKS),
    # From UCX's documentation; the authors have no RDMA NIC, and their wheel is built without verbs: set
    # BENCHPAPER_UCX to the prefix of a UCX that has it. UCX brings up rc and dc connections over ud by itself.
    "rc": Transport("rc", ("rc_mlx5", "rc_verbs"), executed_by_authors=False),
    "dc": Transport("dc", ("dc_mlx5",), executed_by_authors=False),
}

# Below its own threshold (5 to 6 KiB here) UCX copies messages through sysv; above, the receiver reads by cma.
CMA_MESSAGE_BYTES = 32768


def supported(transport, operation, size_bytes, outstanding):
    """Is this a cell in which UCX does take `transport`, and which means something?"""
    if size_bytes < 8 or size_bytes % 8:
        return False  # the last eight bytes carry a sequence number
    if transport == "cma" and operation == "message":
        return size_bytes >= CMA_MESSAGE_BYTES
    if transport in ("posix", "sysv") and operation == "put":
        # A put to shared memory is a memcpy that is over when it is posted: there is never a second one in flight,
        # and with nobody reading, many in a row measure the writer's own cache (80 GB/s and more).
        return outstanding == 1
    return True


# ---- the library and the program ----


def folder():
    """Return the folder with UCX's `include`, `lib` and `bin`: $BENCHPAPER_UCX, else the wheel's."""
    chosen = os.environ.get("BENCHPAPER_UCX")
    if chosen:
        return Path(chosen)
    spec = importlib.util.find_spec("libucx")
    if spec is None:
        raise RuntimeError('the package "libucx" is not installed; ./reproduce installs it')
    return Path(spec.submodule_search_locations[0])


def compile_flags():
    """Return the compiler's flags; the binary holds no path to the libraries (see `environment`)."""
    ucx = folder()
    return [
        "-std=c11", "-O3", "-march=x86-64-v2", "-Wall", "-Wextra", "-Werror",
        "-isystem", str(ucx / "include"), f"-L{ucx / 'lib'}", "-Wl,--allow-shlib-undefined",
    ]  # fmt: skip


def build(sources, output, extra_flags=()):
    """Compile the C files of the folder `sources` with `cc` to one program and return `output`."""
    files = sorted(map(str, Path(sources).glob("*.c")))
    command = ["cc", *compile_flags(), *extra_flags, *files, "-o", str(output), "-lucp", "-lucs"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cc could not compile {sources}: {done.stderr.strip()[:2000]}")
    return Path(output)


def environment(transport, device=None):
    """Return the environment in which UCX uses `transport`, and for tcp only the network device `device`."""
    chosen = TRANSPORTS[transport]
    variables = {
        "LD_LIBRARY_PATH": str(folder() / "lib"),
        "UCX_TLS": chosen.asked,
        "UCX_LOG_FILE": "stderr",  # UCX's default is standard output, where our JSON goes
        "UCX_LOG_LEVEL": "fatal",
        "UCX_HANDLE_ERRORS": "none",
        "UCX_WARN_UNUSED_ENV_VARS": "n",
        **chosen.extra,
    }
    if device:
        variables["UCX_NET_DEVICES"] = device
    return variables


def host_environment(host, transport):
    """Return `environment` for `host`. Left to itself UCX spreads large tcp transfers over all of the host's
    devices, 48 % of a loopback transfer over eth0 for one; only the device with the host's address is meant."""
    device = None
    if transport == "tcp":
        lines = host.run(["ip", "-o", "addr", "show", "to", host.address]).stdout.split()
        device = lines[1].split("@")[0] if len(lines) > 1 else None
    return environment(transport, device)


@capability("verbs", "a UCX that is built with verbs", "set BENCHPAPER_UCX to the prefix of one; the wheel has none")
def _verbs():
    """Whether the UCX in use knows a verbs transport at all, NIC or not."""
    found = list((folder() / "lib" / "ucx").glob("libuct_ib*.so*"))
    return bool(found), "UCX has verbs" if found else "UCX is built without verbs"


# ---- fabric ----


class Responder:
    """The far side of one measurement, as a context manager; `address` is where `measure` connects to."""

    def __init__(self, host, binary, transport, cpu=None):
        self._host, self._binary, self._transport = host, binary, transport
        self._cpu = host.cpus[0] if cpu is None else cpu
        self.process = self.address = None

    def __enter__(self):
        argv = [self._binary, "serve", "--listen", self._host.address, "--cpu", self._cpu]
        self.process = self._host.start(argv, env=host_environment(self._host, self._transport))
        try:
            port = json.loads(self.process.read_line(10))["port"]
        except BaseException:
            self.process.stop()
            raise
        self.address = f"{_bracketed(self._host.address)}:{port}"
        return self

    def __exit__(self, *_):
        self.process.stop()


def measure(host, responder, binary, transport, operation, size_bytes, outstanding, iterations, warmup,
            max_seconds=10.0, cpu=None):  # fmt: skip
    """Run one measurement from `host` against `responder` and return what `fabric` printed, plus

    samples_us       every sample in order (numpy, float64, µs); `span` says from what to what
    transport_used   what UCX took for this operation and size
    protocol_used    how: "short", "zero-copy", "software emulation", ...

    Raises `TransportMismatch` when UCX took another transport, `EvidenceMismatch` when the sides disagree.
    """
    argv = [
        binary, "measure", "--connect", responder.address, "--operation", operation, "--size", size_bytes,
        *_sampling(host, outstanding, iterations, warmup, max_seconds, cpu),
    ]  # fmt: skip
    result = _sample(host, argv, host_environment(host, transport), max_seconds)
    if responder.process.wait(10) != 0:
        raise EvidenceMismatch(f"the responder failed: {responder.process.stderr_text().strip()[-500:]}")
    result["transport"] = transport
    result["transport_used"], result["protocol_used"] = parse_protocol(result["protocol"])
    check_transport(result)
    check_evidence(result)
    return result


def null(host, binary, outstanding, iterations, warmup, max_seconds=10.0, cpu=None):
    """Run the same loop around nothing: the floor of `measure`'s samples (for half round trips, half of it)."""
    argv = [binary, "null", *_sampling(host, outstanding, iterations, warmup, max_seconds, cpu)]
    return _sample(host, argv, environment("posix"), max_seconds)


def _sampling(host, outstanding, iterations, warmup, max_seconds, cpu):
    return [
        "--outstanding", outstanding, "--iterations", iterations, "--warmup", warmup, "--max-seconds", max_seconds,
        "--cpu", host.cpus[-1] if cpu is None else cpu,
    ]  # fmt: skip


def _sample(host, argv, variables, max_seconds):
    path = host.scratch() / "samples.f64"
    done = host.run([*map(str, argv), "--samples", str(path)], env=variables, timeout=2 * max_seconds + 30)
    result = json.loads(done.stdout.strip().splitlines()[-1])
    host.get(path, path)
    result["samples_us"] = np.fromfile(path, dtype="<f8") / 1e3
    return result


def parse_protocol(text):
    """Return the transports and the protocol that UCX names in its description of one operation.

    >>> parse_protocol("{proto} am_send from host memory length 8 short posix/memory 74.3 MB/s 0.10 us")
    ('posix', 'short')
    """
    described = re.search(r"length \d+ (?P<how>.*?)(?=(?:\d+% on )?[a-z]\w*/)(?P<where>.*)", text)
    if not described:
        raise TransportMismatch(f'UCX describes the operation as "{text}", which names no transport')
    names = sorted(set(re.findall(r"\b([a-z]\w*)/\S", described["where"])))
    return "+".join(names), described["how"].strip()


def check_transport(result):
    """Raise `TransportMismatch` unless UCX took the transport that was asked for."""
    allowed = TRANSPORTS[result["transport"]].names
    if any(name not in allowed for name in result["transport_used"].split("+")):
        raise TransportMismatch(
            f"asked for {result['transport']}, but UCX does a {result['operation']} of {result['size_bytes']} B over "
            f'{result["transport_used"]} ("{result["protocol_used"]}"); declare such cells in ucx.supported'
        )


def check_evidence(result):
    """Raise `EvidenceMismatch` unless both sides saw what they are able to see."""
    count, size = result["iterations_done"], result["size_bytes"]
    single, both = result["outstanding"] == 1, (count, count * size, count)
    expected = {
        "put": {"client": both, "server": both} if single else {"server": (1, size, 1)},
        "get": {"client": both if single else (count, count * size, 1)},
        "message": {"client": both, "server": both} if single else {"server": both},
    }[result["operation"]]
    for side, wanted in expected.items():
        seen = tuple(result[side][key] for key in ("operations", "bytes", "verified"))
        if seen != wanted:
            raise EvidenceMismatch(f"the {side} saw (operations, bytes, verified) = {seen}, not {wanted}")
    samples = result["samples_us"]
    if len(samples) != count or not (samples > 0).all():
        raise EvidenceMismatch(f"{len(samples)} samples for {count} operations, the least {samples.min(initial=0)} µs")


# ---- the independent control ----

# ucx_perftest's server listens on every address of the host and has no option against it. This makes it listen on
# one: bind() of "any address" becomes bind() of $BIND_TO.
_BIND_TO_SOURCE = """
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>
int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    struct sockaddr_in mine;
    if (address->sa_family == AF_INET && length == sizeof mine && getenv("BIND_TO")) {
        mine = *(const struct sockaddr_in *)address;
        if (mine.sin_addr.s_addr == htonl(INADDR_ANY))
            inet_pton(AF_INET, getenv("BIND_TO"), &mine.sin_addr);
        address = (const struct sockaddr *)&mine;
    }
    return next(fd, address, length);
}
"""

_TESTS = {  # (operation, more than one outstanding): ucx_perftest's name for it
    ("put", False): "ucp_put_lat", ("put", True): "ucp_put_bw",
    ("get", False): "ucp_get", ("get", True): "ucp_get",
    ("message", False): "ucp_am_lat", ("message", True): "ucp_am_bw",
}  # fmt: skip


def perftest(server_host, client_host, shim, transport, operation, size_bytes, outstanding, iterations, warmup):
    """Measure the same cell with `ucx_perftest`, `shim` being what `build_bind_to` made.

    Returns median_us (of its last 2,048 samples only; half or full round trips like ours with one outstanding, the
    time between two posts with more), average_us, bandwidth_mb_s (in 10^6 bytes) and iterations.
    """
    program, port = folder() / "bin" / "ucx_perftest", server_host.free_port()
    server_variables = {
        **host_environment(server_host, transport), "LD_PRELOAD": str(shim), "BIND_TO": server_host.address,
    }  # fmt: skip
    client = [
        program, server_host.address, "-p", port, "-c", client_host.cpus[-1], "-t", _TESTS[operation, outstanding > 1],
        "-s", size_bytes, "-O", outstanding, "-n", iterations, "-w", warmup, "-f", "-v",
    ]  # fmt: skip
    with server_host.start([program, "-p", port, "-c", server_host.cpus[0]], env=server_variables) as server:
        for _ in range(40):  # the server does not say when it listens
            done = client_host.run(client, env=host_environment(client_host, transport), timeout=60, check=False)
            if done.returncode == 0:
                break
            time.sleep(0.05)
        else:
            raise RuntimeError(f"ucx_perftest failed: {(done.stderr + done.stdout + server.stderr_text()).strip()[-500:]}")
        server.wait(10)
    return _parse_perftest(done.stdout)


def build_bind_to(output):
    """Compile the shim that makes ucx_perftest's server listen on one address, and return `output`."""
    command = ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(output), "-ldl"]
    done = subprocess.run(command, input=_BIND_TO_SOURCE, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cc could not compile the shim of ucx_perftest: {done.stderr.strip()[:500]}")
    return Path(output)


def control_ratio(server_host, client_host, binary, shim, transport, operation, size_bytes, iterations, pairs=5):
    """Return our median over ucx_perftest's for one cell with one operation outstanding, as the median of `pairs`
    alternating pairs; it should lie within `CONTROL_TOLERANCE`."""
    cell, counts, ratios = (transport, operation, size_bytes, 1), (iterations, iterations // 10), []
    for _ in range(pairs):
        with Responder(server_host, binary, transport) as responder:
            ours = measure(client_host, responder, binary, *cell, *counts)
        theirs = perftest(server_host, client_host, shim, *cell, *counts)
        ratios.append(float(np.median(ours["samples_us"])) / theirs["median_us"])
    return float(np.median(ratios))


def _parse_perftest(text):
    rows = [line.split(",") for line in text.splitlines() if re.fullmatch(r"[\d.,]+", line.strip())]
    if not rows or len(rows[-1]) != 8:
        raise RuntimeError(f'ucx_perftest printed no result: "{text.strip()[-300:]}"')
    iterations, median, _, average, _, bandwidth, _, _ = map(float, rows[-1])
    return dict(
        iterations=int(iterations), median_us=median, average_us=average, bandwidth_mb_s=bandwidth * 2**20 / 1e6
    )


def _bracketed(address):
    return f"[{address}]" if ":" in address else address
