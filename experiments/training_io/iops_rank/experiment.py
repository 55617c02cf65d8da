"""Which simple number predicts how long training waits?"""

import json
import os
import shutil
from dataclasses import asdict

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.systems import nfs, packages
from experiments.training_io import backends
from experiments.training_io.clients import blocks, fio, random_reads
from experiments.training_io.data import dataset, samples
from experiments.training_io.loops import training_loop
from experiments.training_io.loops.training_loop import Loop
from experiments.training_io.null import targets

WORKLOAD = samples.SCALED["resnet50"]
LARGE, FILE_MIB = "blocks", 16
DEPTHS = (1, 32)
READERS = 2
DATA_SET_BYTES = 40e6
CLIENTS = {"nfs41": "nfs", "nfs3": "nfs", "s3-rclone": "s3"}  # fio reads all other backends

experiment = Experiment(
    title="Single numbers against training",
    question="Which simple number predicts how long training waits?",
    factors=[
        Factor(
            "backend",
            [
                "tmpfs",
                "disk-cgroup",
                "ext4",
                "xfs",
                "btrfs",
                "juicefs",
                "seaweedfs",
                "nfs41",
                "nfs3",
                "s3-rclone",
                "null",
            ],
            meaning="null answers at once and trains nothing: the ceiling of each client",
        ),
        Factor(
            "client",
            ["fio", "nfs", "s3"],
            meaning="what measures the single numbers: fio, or our own client by ranged READs "
            "(nfs) or GETs (s3)",
        ),
    ],
    metrics=[
        Metric(
            "iops_4k",
            unit="1/s",
            better="higher",
            meaning="4 KiB random reads by two readers, one outstanding each",
        ),
        Metric(
            "iops_4k_qd1",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="4 KiB random reads, one outstanding, for 30 s at full",
        ),
        Metric(
            "iops_4k_qd32",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="the same with 32 outstanding: by one process of fio, or 32 threads of ours",
        ),
        Metric(
            "p99_us", unit="µs", better="lower", meaning="99th percentile latency of these reads"
        ),
        Metric(
            "sequential_mb_s",
            unit="MB/s",
            better="higher",
            optional=True,
            meaning="one reader in order, 1 MiB a request",
        ),
        Metric(
            "client_iops_4k",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="the same random reads by the project's own client",
        ),
        Metric(
            "client_ops_per_cpu_s",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="reads per second of the own client's CPU time",
        ),
        Metric(
            "stall_mean_ms",
            unit="ms",
            better="lower",
            optional=True,
            meaning="wait for storage a step, resnet50 (scaled), one file a sample, two readers, "
            "computation at full rate",
        ),
        Metric(
            "samples_per_s",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="training samples a second",
        ),
    ],
    evidence=[
        Evidence(
            "conditions", "how the random reads were measured: direct or not, depths, time, file"
        )
    ],
    packages=backends.PACKAGES,
    twin=dict(backend="s3-rclone", client="s3"),
    timeout_s=300,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.5,
            disk_mb=250,
            counts=dict(steps=20, seconds=0.1, depth_seconds=0.1),
            backend=["tmpfs", "ext4", "nfs41", "s3-rclone", "null"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.0,
            disk_mb=250,
            counts=dict(steps=40, seconds=0.05, depth_seconds=0.1),
            backend=["tmpfs", "ext4", "xfs", "juicefs", "nfs41", "s3-rclone", "null"],
        ),
        full=Scale(
            blocks=8,
            trial_seconds=75.0,
            disk_mb=250,
            counts=dict(steps=300, seconds=3.0, depth_seconds=30.0),
        ),
    ),
)


@experiment.valid
def valid(cell):
    return cell.backend == "null" or cell.client == CLIENTS.get(cell.backend, "fio")


@experiment.needs
def needs(cell):
    own = (
        backends.needs(cell.backend)
        if cell.backend != "null"
        else [nfs.PACKAGE] * (cell.client == "nfs")
    )
    return own + ["fio"] * (cell.client == "fio")


@experiment.uses
def tools():
    return {"fio": fio.version(), **backends.tools()}


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    """Make one folder with the samples and a large file of numbered blocks."""
    samples_folder, both = folder / "samples", folder / "data" / "both"
    dataset.make(samples_folder, WORKLOAD, int(DATA_SET_BYTES / WORKLOAD.sample_bytes), "npy")
    shutil.rmtree(both, ignore_errors=True)
    both.mkdir(parents=True)
    for path in samples_folder.glob("*.npy"):
        os.link(path, both / path.name)
    blocks.make(both / LARGE, FILE_MIB)


@experiment.trial
def trial(cell, site):
    if cell.backend == "null":
        yield ceiling(cell.client, site)
        return
    host = site.client
    with backends.open(cell.backend, host, host.provide(site.programs / "data") / "both") as opened:
        if opened.folder:  # otherwise only the first reader would meet a FUSE mount's empty cache
            host.run(["sh", "-c", 'cat "$0" > /dev/null', f"{opened.folder}/{LARGE}"])
        mine = by_client(host, opened, site)
        if opened.folder:
            numbers = by_fio(host, opened, site.counts)
        else:
            numbers = {name: mine[name] for name in ("iops_4k", "p99_us", "sequential_mb_s")}
            numbers |= by_depth(host, opened, site)
        trained = train(host, opened, site)
    yield {
        **numbers,
        "conditions": conditions(opened, site.counts),
        "client_iops_4k": mine["iops_4k"],
        "client_ops_per_cpu_s": mine["ops_per_cpu_s"],
        "stall_mean_ms": sum(trained["stall_ms"]) / len(trained["stall_ms"]),
        "samples_per_s": trained["samples_per_s"],
    }


def conditions(opened, counts):
    """Return in words how the random reads were measured."""
    seconds = f"depths {DEPTHS[0]} and {DEPTHS[1]} for {counts.depth_seconds:g} s each"
    if not opened.folder:
        return f"own client, {seconds}, file of {FILE_MIB} MiB, which the server's memory holds"
    how = "direct" if opened.direct else "through the page cache"
    return f"fio {fio.version()}, {how}, {seconds}, file of {FILE_MIB} MiB"


def by_fio(host, opened, counts):
    path = f"{opened.folder}/{LARGE}"
    at_random = dict(pattern="randread", block="4k", direct=opened.direct)
    two = fio.read(host, path, **at_random, jobs=READERS, seconds=counts.seconds)
    deep = {
        f"iops_4k_qd{depth}": fio.read(
            host, path, **at_random, depth=depth, seconds=counts.depth_seconds
        )["iops"]
        for depth in DEPTHS
    }
    in_order = fio.read(
        host, path, pattern="read", block="1M", seconds=counts.seconds, direct=opened.direct
    )
    return {
        "iops_4k": two["iops"],
        "p99_us": two["p99_us"],
        "sequential_mb_s": in_order["mb_s"],
        **deep,
    }


def by_depth(host, opened, site):
    """Return IOPS at each depth by our own client, a thread for each outstanding read."""
    plan = dict(store=opened.store, name=LARGE, seconds=site.counts.depth_seconds)
    plan |= dict(seed=site.seed % 2**32)
    return {
        f"iops_4k_qd{depth}": _run(host, opened, random_reads, plan | dict(threads=depth))["iops"]
        for depth in DEPTHS
    }


def by_client(host, opened, site):
    """Measure the same numbers with our own client, past the kernel's page cache where possible."""
    direct = bool(opened.folder) and opened.direct
    plan = dict(
        store=opened.store, name=LARGE, threads=READERS, seconds=site.counts.seconds, direct=direct
    )
    plan |= dict(
        in_order_seconds=0 if opened.folder else site.counts.seconds, seed=site.seed % 2**32
    )
    result = _run(host, opened, random_reads, plan)
    return {
        "iops_4k": result["iops"],
        "p99_us": result["p99_us"],
        "ops_per_cpu_s": result["ops_per_cpu_s"],
        "sequential_mb_s": result.get("in_order", {}).get("mb_s"),
    }


def train(host, opened, site):
    loop = Loop(
        "npy",
        WORKLOAD.batch,
        WORKLOAD.compute_s,
        site.counts.steps,
        READERS,
        seed=site.seed % 2**32,
    )
    return _run(host, opened, training_loop, dict(store=opened.store, loop=asdict(loop)))


def _run(host, opened, program, plan):
    argv = [host.python, "-m", program.__name__, json.dumps(plan)]
    return json.loads(host.run([*opened.prefix, *argv], timeout=80).stdout)


def ceiling(client, site):
    """Measure a client against a null target, which answers at once: the client's own ceiling.

    The null server of an NFS or S3 client shares the two cores with it.
    """
    nothing = dict.fromkeys(metric.name for metric in experiment.metrics)
    nothing["conditions"] = "against nothing"
    host, seconds = site.client, site.counts.seconds
    if client == "fio":
        result = fio.read(host, None, pattern="randread", block="4k", jobs=READERS, seconds=seconds)
        return nothing | {"iops_4k": result["iops"], "p99_us": result["p99_us"]}
    null = targets.nfs(host, FILE_MIB << 20) if client == "nfs" else targets.s3(host, blocks.BLOCK)
    with null as server:
        plan = dict(
            store=server.store, name=LARGE, threads=READERS, seconds=seconds, unchecked_mib=FILE_MIB
        )
        result = _run(host, backends.Opened({}), random_reads, plan)
    mine = {"client_iops_4k": result["iops"], "client_ops_per_cpu_s": result["ops_per_cpu_s"]}
    return nothing | mine | {"iops_4k": result["iops"], "p99_us": result["p99_us"]}
