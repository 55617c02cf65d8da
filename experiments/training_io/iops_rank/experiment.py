"""Which simple number predicts how long training waits?"""

import json
import os
import shutil
from dataclasses import asdict

from benchpaper.spec import Evidence, Experiment, Factor, Metric, Scale
from experiments.training_io import backends
from experiments.workloads import blocks, dataset, fio, null_s3, random_reads, samples, training_loop
from experiments.workloads.training_loop import Loop

WORKLOAD = samples.SCALED["resnet50"]
LARGE, FILE_MIB = "blocks", 16
READERS = 2
DATA_SET_BYTES = 40e6

experiment = Experiment(
    title="Single numbers against training",
    question="Which simple number predicts how long training waits?",
    factors=[
        Factor(
            "backend",
            [
                "tmpfs", "disk-cgroup", "ext4", "xfs", "btrfs", "juicefs", "seaweedfs", "nfs41", "nfs3", "s3-rclone", "null-s3",
            ],
            meaning="null-s3 answers at once and trains nothing: the ceiling of the S3 client",
        )
    ],
    metrics=[
        Metric(
            "iops_4k", unit="1/s", better="higher", meaning="4 KiB random reads by two readers, one outstanding each",
        ),
        Metric("p99_us", unit="µs", better="lower", meaning="99th percentile latency of these reads"),
        Metric(
            "sequential_mb_s", unit="MB/s", better="higher", optional=True,
            meaning="one reader in order, 1 MiB a request",
        ),
        Metric(
            "client_iops_4k", unit="1/s", better="higher", meaning="the same random reads by the project's own client",
        ),
        Metric(
            "client_ops_per_cpu_s", unit="1/s", better="higher", meaning="reads per second of the client's CPU time",
        ),
        Metric(
            "stall_mean_ms", unit="ms", better="lower", optional=True,
            meaning="wait for storage a step, resnet50 (scaled), one file a sample, two readers, computation at full rate",
        ),
        Metric("samples_per_s", unit="1/s", better="higher", optional=True, meaning="training samples a second"),
    ],
    evidence=[Evidence("measured_by", "what measured iops_4k, p99_us and sequential_mb_s")],
    packages=backends.PACKAGES,
    twin=dict(backend="s3-rclone"),
    timeout_s=120,
    scales=dict(
        smoke=Scale(
            blocks=2, trial_seconds=1.5, disk_mb=250, counts=dict(steps=50, seconds=0.1),
            backend=["tmpfs", "ext4", "nfs41", "s3-rclone", "null-s3"],
        ),
        quick=Scale(
            blocks=5, trial_seconds=1.2, disk_mb=250, counts=dict(steps=100, seconds=0.06),
            backend=["tmpfs", "ext4", "xfs", "btrfs", "juicefs", "nfs41", "nfs3", "s3-rclone", "null-s3"],
        ),
        full=Scale(blocks=8, trial_seconds=1.7, disk_mb=250, counts=dict(steps=300, seconds=0.15)),
    ),
)  # fmt: skip

@experiment.needs
def needs(cell):
    return [] if cell.backend == "null-s3" else ["fio", *backends.needs(cell.backend)]


@experiment.uses
def tools():
    return {"fio": fio.version(), **backends.tools()}


@experiment.build(needs=[])
def build(folder):
    """One folder with both: the samples, and a large file of numbered blocks."""
    samples_folder, both = folder / "samples", folder / "data" / "both"
    dataset.make(samples_folder, WORKLOAD, int(DATA_SET_BYTES / WORKLOAD.sample_bytes), "npy")
    shutil.rmtree(both, ignore_errors=True)
    both.mkdir(parents=True)
    for path in samples_folder.glob("*.npy"):
        os.link(path, both / path.name)
    blocks.make(both / LARGE, FILE_MIB)


@experiment.trial
def trial(cell, site):
    if cell.backend == "null-s3":
        yield ceiling(site)
        return
    host = site.client
    with backends.open(cell.backend, host, host.provide(site.programs / "data") / "both") as opened:
        if opened.folder:  # whichever reads a FUSE mount first would meet its empty cache
            host.run(["sh", "-c", 'cat "$0" > /dev/null', f"{opened.folder}/{LARGE}"])
        mine = by_client(host, opened, site)
        if opened.folder:
            numbers = by_fio(host, opened, site.counts.seconds)
        else:
            numbers = {name: mine[name] for name in ("iops_4k", "p99_us", "sequential_mb_s")}
        trained = train(host, opened, site)
    yield {
        **numbers, "client_iops_4k": mine["iops_4k"], "client_ops_per_cpu_s": mine["ops_per_cpu_s"],
        "stall_mean_ms": sum(trained["stall_ms"]) / len(trained["stall_ms"]), "samples_per_s": trained["samples_per_s"],
        "measured_by": "fio" if opened.folder else "ranged READs" if opened.store["kind"] == "nfs" else "ranged GETs",
    }  # fmt: skip


def by_fio(host, opened, seconds):
    path = f"{opened.folder}/{LARGE}"
    at_random = fio.read(host, path, pattern="randread", block="4k", jobs=READERS, seconds=seconds, direct=opened.direct)
    in_order = fio.read(host, path, pattern="read", block="1M", jobs=1, seconds=seconds, direct=opened.direct)
    return {"iops_4k": at_random["iops"], "p99_us": at_random["p99_us"], "sequential_mb_s": in_order["mb_s"]}


def by_client(host, opened, site):
    """The same by our own client, past the page cache where a kernel has one."""
    direct = bool(opened.folder) and opened.direct
    asked = dict(store=opened.store, name=LARGE, threads=READERS, seconds=site.counts.seconds, direct=direct)
    asked |= dict(in_order_seconds=0 if opened.folder else site.counts.seconds, seed=site.seed % 2**32)
    found = _run(host, opened, random_reads, asked)
    return {
        "iops_4k": found["iops"], "p99_us": found["p99_us"], "ops_per_cpu_s": found["ops_per_cpu_s"],
        "sequential_mb_s": found.get("in_order", {}).get("mb_s"),
    }  # fmt: skip


def train(host, opened, site):
    loop = Loop("npy", WORKLOAD.batch, WORKLOAD.compute_s, site.counts.steps, READERS, seed=site.seed % 2**32)
    return _run(host, opened, training_loop, dict(store=opened.store, loop=asdict(loop)))


def _run(host, opened, program, asked):
    argv = [host.python, "-m", program.__name__, json.dumps(asked)]
    return json.loads(host.run([*opened.prefix, *argv], timeout=80).stdout)


def ceiling(site):
    """The S3 client against a server that answers at once: what it can do, on the two cores that both share."""
    host, opened = site.client, backends.Opened({})
    with null_s3.Server(host, blocks.BLOCK) as server:
        asked = dict(store=server.store, name=LARGE, threads=READERS, seconds=site.counts.seconds, unchecked_mib=FILE_MIB)
        found = _run(host, opened, random_reads, asked)
    return {
        "iops_4k": found["iops"], "p99_us": found["p99_us"], "sequential_mb_s": None, "stall_mean_ms": None,
        "client_iops_4k": found["iops"], "client_ops_per_cpu_s": found["ops_per_cpu_s"], "samples_per_s": None,
        "measured_by": "ranged GETs",
    }  # fmt: skip
