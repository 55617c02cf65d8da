"""`ucx_perftest`, which comes with UCX, as an independent control of our program `fabric`."""

import re
import subprocess
import time
from pathlib import Path

import numpy as np

from experiments.rdma.fabric import program
from experiments.systems import ucx

# Bounds of a ratio: the median of `fabric` over that of `ucx_perftest`, with one operation
# outstanding, as the median of 5 alternating pairs, lies within [1/CONTROL_TOLERANCE,
# CONTROL_TOLERANCE]. On two shared cores at 8 B, 4 KiB, and 64 KiB, once per cell, posix (all
# operations), sysv (messages), cma, and tcp (all operations) gave 0.91 to 1.06, and tcp 0.99 to
# 1.01. The exceptions are where cma reads: get 1.11 and message 1.16 at 64 KiB, get 1.2 at 4 MiB (3
# pairs). ucx_perftest never writes what it reads there, so it most likely reads the kernel's zero
# page, which stays in the cache: `fabric` without its pattern gave 0.97 to 1.01. A round trip that
# is not halved gives about 2. A single pair has been off by 4, when only one of its runs got two
# virtual CPUs that were close together. With more operations outstanding, the bandwidths of both
# programs scatter by 2 to 10 from run to run here, so there is no tolerance for them.
CONTROL_TOLERANCE = 1.3

# ucx_perftest's server listens on every address of the host, and no option changes that. This makes
# it listen on one address: bind() of "any address" becomes bind() of $BIND_TO.
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
    ("put", False): "ucp_put_lat",
    ("put", True): "ucp_put_bw",
    ("get", False): "ucp_get",
    ("get", True): "ucp_get",
    ("message", False): "ucp_am_lat",
    ("message", True): "ucp_am_bw",
}


def perftest(
    server_host,
    client_host,
    shim,
    transport,
    operation,
    size_bytes,
    outstanding,
    iterations,
    warmup,
):
    """Measure the same cell with `ucx_perftest`; `shim` is what `build_bind_to` made.

    Returns median_us (of its last 2,048 samples only; with one operation outstanding, half or full
    round trips like ours; with more, the time between two posts), average_us, bandwidth_mb_s (in
    10^6 bytes), and iterations.
    """
    program, port = ucx.folder() / "bin" / "ucx_perftest", server_host.free_port()
    server_variables = {
        **environment(server_host, transport),
        "LD_PRELOAD": str(server_host.provide(shim)),
        "BIND_TO": server_host.address,
    }
    client_variables = environment(client_host, transport)
    client = [
        client_host.provide(program),
        server_host.address,
        "-p",
        port,
        "-c",
        client_host.cpus[-1],
        "-t",
        _TESTS[operation, outstanding > 1],
        "-s",
        size_bytes,
        "-O",
        outstanding,
        "-n",
        iterations,
        "-w",
        warmup,
        "-f",
        "-v",
    ]
    serving = [server_host.provide(program), "-p", port, "-c", server_host.cpus[0]]
    with server_host.start(serving, env=server_variables) as server:
        for _ in range(40):  # the server does not say when it listens
            done = client_host.run(client, env=client_variables, timeout=60, check=False)
            if done.returncode == 0:
                break
            time.sleep(0.05)
        else:
            raise RuntimeError(
                "ucx_perftest failed: "
                f"{(done.stderr + done.stdout + server.stderr_text()).strip()[-500:]}"
            )
        server.wait(10)
    return _parse_perftest(done.stdout)


def environment(host, transport):
    """Return UCX's environment with the libraries that only `ucx_perftest` needs.

    The wheel carries these (OpenMP and CUDA). The program looks for them next to itself, where they
    do not lie on every host.
    """
    variables = ucx.host_environment(host, transport)
    own = [host.provide(path) for path in sorted(ucx.folder().parent.glob("libucx*.libs"))]
    variables["LD_LIBRARY_PATH"] = ":".join([variables["LD_LIBRARY_PATH"], *map(str, own)])
    return variables


def build_bind_to(output):
    """Compile the shim that makes ucx_perftest's server listen on one address; return `output`."""
    command = ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(output), "-ldl"]
    done = subprocess.run(command, input=_BIND_TO_SOURCE, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"cc could not compile the shim of ucx_perftest: {done.stderr.strip()[:500]}"
        )
    return Path(output)


def control_ratio(
    server_host, client_host, binary, shim, transport, operation, size_bytes, iterations, pairs=5
):
    """Return our median over ucx_perftest's for one cell with one operation outstanding.

    This is the median of `pairs` alternating pairs; it should lie within `CONTROL_TOLERANCE`.
    """
    cell, counts, ratios = (transport, operation, size_bytes, 1), (iterations, iterations // 10), []
    for _ in range(pairs):
        with program.Responder(server_host, binary, transport) as responder:
            ours = program.measure(client_host, responder, binary, *cell, *counts)
        theirs = perftest(server_host, client_host, shim, *cell, *counts)
        ratios.append(float(np.median(ours["samples_us"])) / theirs["median_us"])
    return float(np.median(ratios))


def _parse_perftest(text):
    rows = [line.split(",") for line in text.splitlines() if re.fullmatch(r"[\d.,]+", line.strip())]
    if not rows or len(rows[-1]) != 8:
        raise RuntimeError(f'ucx_perftest printed no result: "{text.strip()[-300:]}"')
    iterations, median, _, average, _, bandwidth, _, _ = map(float, rows[-1])
    return dict(
        iterations=int(iterations),
        median_us=median,
        average_us=average,
        bandwidth_mb_s=bandwidth * 2**20 / 1e6,
    )
