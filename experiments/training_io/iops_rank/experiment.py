"""Which simple number predicts how long training waits?"""

import os
import shutil
from dataclasses import asdict

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.systems import nfs, packages
from experiments.training_io import backends
from experiments.training_io.clients import blocks, fio, random_reads
from experiments.training_io.data import dataset, samples
from experiments.training_io.iops_rank import numbers
from experiments.training_io.iops_rank.numbers import FILE_MIB, LARGE, READERS
from experiments.training_io.loops import training_loop
from experiments.training_io.loops.training_loop import Loop
from experiments.training_io.null import targets

WORKLOAD = samples.SCALED["resnet50"]
DATA_SET_BYTES = 40e6
# Where random reads last 30 s at each depth, over all blocks of scale full together, as one run of
# fio should. Elsewhere they are shorter, and the cell says so: 30 s in each would take hours.
BY_THE_BOOK = ("ext4", "xfs")
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
            meaning="4 KiB random reads, one outstanding; on ext4, xfs 30 s in all blocks of full",
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
            "client_over_fio",
            unit="1",
            better="neither",
            optional=True,
            meaning="random reads of the own client over those of fio right after, one reader, one "
            "outstanding, where both can read; the mean of two such pairs",
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
            counts=dict(steps=20, seconds=0.1, depth_seconds=0.1, book_seconds=0.1),
            backend=["tmpfs", "ext4", "nfs41", "s3-rclone", "null"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.0,
            disk_mb=250,
            counts=dict(steps=40, seconds=0.05, depth_seconds=0.1, book_seconds=0.1),
            backend=["tmpfs", "ext4", "xfs", "juicefs", "nfs41", "s3-rclone", "null"],
        ),
        full=Scale(
            blocks=8,
            trial_seconds=3.5,
            disk_mb=250,
            counts=dict(steps=40, seconds=0.2, depth_seconds=0.5, book_seconds=30 / 8),
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
    host, counts = site.client, site.counts
    seconds = counts.book_seconds if cell.backend in BY_THE_BOOK else counts.depth_seconds
    with backends.open(cell.backend, host, host.provide(site.programs / "data") / "both") as opened:
        if opened.folder:  # otherwise only the first reader would meet a FUSE mount's empty cache
            host.run(["sh", "-c", 'cat "$0" > /dev/null', f"{opened.folder}/{LARGE}"])
        mine = numbers.by_client(host, opened, site)
        if opened.folder:
            measured = numbers.by_fio(host, opened, counts, seconds)
            measured["client_over_fio"] = numbers.over_fio(host, opened, site)
        else:
            measured = {name: mine[name] for name in ("iops_4k", "p99_us", "sequential_mb_s")}
            measured |= numbers.by_depth(host, opened, site, seconds)
        trained = train(host, opened, site)
    yield {
        "client_over_fio": None,
        **measured,
        "conditions": numbers.conditions(cell.backend, opened, seconds),
        "client_iops_4k": mine["iops_4k"],
        "client_ops_per_cpu_s": mine["ops_per_cpu_s"],
        "stall_mean_ms": sum(trained["stall_ms"]) / len(trained["stall_ms"]),
        "samples_per_s": trained["samples_per_s"],
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
    return numbers.run(host, opened, training_loop, dict(store=opened.store, loop=asdict(loop)))


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
        result = numbers.run(host, backends.Opened({}), random_reads, plan)
    mine = {"client_iops_4k": result["iops"], "client_ops_per_cpu_s": result["ops_per_cpu_s"]}
    return nothing | mine | {"iops_4k": result["iops"], "p99_us": result["p99_us"]}
