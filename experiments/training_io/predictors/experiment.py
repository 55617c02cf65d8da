"""Which number predicts how long training waits, on storage that it was not fitted to?"""

import json
from contextlib import contextmanager
from dataclasses import asdict

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.systems import packages, s3, shaped_store
from experiments.training_io import backends
from experiments.training_io.clients import single_numbers
from experiments.training_io.data import workloads
from experiments.training_io.loops import training_loops
from experiments.training_io.loops.training_loop import Loop
from experiments.training_io.predictors import shapes

READERS = 4
PREFETCH = 4
REAL = {
    "tmpfs": "file",
    "ext4": "file",
    "juicefs": "file",
    "nfs41": "nfs",
    "s3-rclone": "s3",
    "s3-seaweedfs": "s3",
}
FORMATS = [packages.package(name) for name in ("google-crc32c", "webdataset", "pyarrow")]
SMOKE = ["set-01", "set-02", "set-03", "set-04", "s3-rclone"]


def number(name, unit, meaning, better="higher", optional=False):
    return Metric(name, unit=unit, better=better, meaning=meaning, optional=optional)


experiment = Experiment(
    title="Predictors of the stall",
    question="Which number predicts how long training waits, on storage that it was not fitted to?",
    factors=[
        Factor(
            "storage",
            [*shapes.ALL, *REAL, "null"],
            meaning="a shaped store whose six settings fill their space evenly; a real system; or "
            "memory, which shows the client's own ceiling",
        ),
        Factor("face", ["s3", "fuse", "own"], meaning="of a shaped store, or a system's own"),
    ],
    within=[
        Factor(
            "workload",
            list(workloads.ALL),
            meaning="published parameters, scaled, in published time; not an MLPerf result",
        )
    ],
    metrics=[
        number("iops_4k_qd1", "1/s", "4 KiB random reads, one outstanding"),
        number("iops_4k_qd32", "1/s", "the same, 32 outstanding"),
        number("p50_us", "µs", "median latency at depth 1", "lower"),
        number("p99_us", "µs", "99th percentile at depth 1", "lower"),
        number("p999_us", "µs", "99.9th percentile at depth 32", "lower", optional=True),
        number("sequential_mb_s", "MB/s", "one reader in order, 1 MiB a request"),
        number("object_mb_s", "MB/s", "one reader of whole objects of 8 MiB"),
        number("opens_per_s", "1/s", "one reader of whole objects of 1 KiB"),
        number(
            "modelled",
            "1",
            "slowdown by a model of two parameters: a read takes a latency (p50 at depth 1) and "
            "its bytes at a bandwidth (of whole objects); readers gain at most what depth 32 gains",
            "lower",
        ),
        number(
            "replayed",
            "1",
            "slowdown by the rate at which the job's readers fetch its units, computing nothing",
            "lower",
        ),
        number("slowdown", "1", "time of a step over its computation: 1 never waits", "lower"),
        number("stall_ms", "ms", "mean wait of a step for its batch", "lower"),
        number("au_configured", "1", "configured computation over running time (MLPerf Storage)"),
        number("au_measured", "1", "measured computation over running time"),
        number("steps", "1", "steps that were measured", "neither"),
        number("requests_per_sample", "1", "requests for each sample used", "lower"),
        number("bytes_per_sample", "B", "bytes fetched for each sample used", "lower"),
        number("cpu_us_per_sample", "µs", "processor time of the reading process", "lower"),
    ],
    evidence=[
        Evidence("settings", "the settings of a shaped store, as JSON; empty for real systems"),
        Evidence("parameters", "the workload as published and as scaled, as JSON, with its source"),
    ],
    packages=backends.PACKAGES,
    controls=dict(storage=["null"]),
    twin=dict(storage="s3-rclone", face="own"),
    timeout_s=240.0,
    attempts=2,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=6.0,
            disk_mb=900,
            counts=dict(seconds=0.05, loop_seconds=0.1, least_steps=6, workloads=2),
            storage=SMOKE,
            face=["s3", "own"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=6.0,
            disk_mb=900,
            counts=dict(seconds=0.12, loop_seconds=0.2, least_steps=8, workloads=8),
            storage=[*shapes.EVERY_TENTH, *REAL, "null"],
            face=["s3", "own"],
        ),
        # A store takes the median over its blocks, and the interval over stores
        # decides. Five are the fewest that give a noise floor, so trials are short.
        full=Scale(
            blocks=5,
            trial_seconds=6.0,
            disk_mb=900,
            counts=dict(seconds=0.12, loop_seconds=0.2, least_steps=8, workloads=8),
        ),
    ),
)


@experiment.valid
def valid(cell):
    """Every shaped store over S3, one in ten over FUSE too, and real systems as they are."""
    if cell.storage not in shapes.ALL:
        return cell.face == "own"
    return cell.face == "s3" or (cell.face == "fuse" and cell.storage in shapes.EVERY_TENTH)


@experiment.needs
def needs(cell):
    if cell.storage in shapes.ALL:
        own = ["loopback", s3.PACKAGE] if cell.face == "s3" else ["fuse"]
        return [packages.XXHASH, *own, *FORMATS]
    return [*backends.needs(cell.storage), *FORMATS]


@experiment.uses
def tools():
    return backends.tools()


@experiment.build(needs=[packages.XXHASH, *FORMATS])
def build(folder):
    """Make one folder with every workload's data set, and the files of the single numbers."""
    served = folder / "data" / "served"
    for name, workload in workloads.ALL.items():
        workload.make(served / name)
    single_numbers.make(served)


@contextmanager
def opened(cell, host, folder, seed):
    """Serve the folder by the cell's storage, and yield what `backends.open` does."""
    shape = shapes.ALL.get(cell.storage)
    if shape is None:
        with backends.open(cell.storage, host, folder) as real:
            yield real
    elif cell.face == "s3":
        with shaped_store.S3(host, folder, shape, seed) as served:
            yield backends.Opened(backends.s3_store(served.endpoint))
    else:
        with shaped_store.Mount(host, folder, shape, seed) as mounted:
            path = str(mounted.path)
            yield backends.Opened(dict(kind="file", folder=path), path)


@experiment.trial
def trial(cell, site):
    host, seed = site.client, site.seed % 2**32
    folder = host.provide(site.programs / "data") / "served"
    measured = list(workloads.ALL.values())[: site.counts.workloads]
    jobs = [dict(name=w.name, format=w.format, readers=READERS) for w in measured]
    settings = json.dumps(asdict(shapes.ALL[cell.storage])) if cell.storage in shapes.ALL else ""
    with opened(cell, host, folder, seed) as served:
        plan = dict(store=served.store, seconds=site.counts.seconds, seed=seed, jobs=jobs)
        numbers = run(host, served, single_numbers, plan)
        supplied = numbers.pop("supply")
        for workload, trained in train(host, served, measured, site.counts, seed):
            yield {
                "workload": workload.name,
                "settings": settings,
                "parameters": json.dumps(workload.described()),
                **numbers,
                "modelled": modelled(workload, numbers, trained),
                "replayed": slowdown(workload.ours, supplied[workload.name]),
                **observed(workload.ours, trained),
            }


def train(host, served, measured, counts, seed):
    """Return [(workload, what its loop saw)], one loop after another in one process."""
    jobs = []
    for workload in measured:
        loop = Loop(
            workload.format,
            workload.ours.batch,
            workload.ours.compute_s,
            counts.least_steps,
            READERS,
            PREFETCH,
            seed,
            counts.loop_seconds,
        )
        job = dict(name=workload.name, format=workload.format)
        store = single_numbers.of_job(served.store, job)
        jobs.append(dict(store=store, loop=asdict(loop)))
    return list(zip(measured, run(host, served, training_loops, jobs), strict=True))


def run(host, served, program, plan):
    argv = [*served.prefix, host.python, "-m", program.__name__, json.dumps(plan)]
    return json.loads(host.run(argv, timeout=120).stdout)


def slowdown(ours, samples_per_s):
    """Return the time of a step over its computation, if storage supplies so many samples/s."""
    return max(1.0, ours.batch / samples_per_s / ours.compute_s)


def modelled(workload, numbers, trained):
    """Return the slowdown by latency and bandwidth alone.

    A request of the job takes the median latency, and its bytes at the bandwidth of whole objects.
    The readers work side by side, but gain no more than 32 outstanding reads gain over one, and the
    bandwidth is that of all of them together.
    """
    latency_s, bandwidth = numbers["p50_us"] / 1e6, 1e6 * numbers["object_mb_s"]
    at_once = min(READERS, max(1.0, numbers["iops_4k_qd32"] / numbers["iops_4k_qd1"]))
    per_sample = trained["requests"] / trained["samples_read"]
    size = trained["bytes_read"] / trained["samples_read"]
    sample_s = max((per_sample * latency_s + size / bandwidth) / at_once, size / bandwidth)
    return slowdown(workload.ours, 1 / sample_s)


def observed(ours, trained):
    """Return the metrics of a loop, from the steps after the first batches that lay ready."""
    stalls = trained["stall_ms"]
    kept = stalls[min(PREFETCH, len(stalls) // 2) :]
    stall_ms = sum(kept) / len(kept)
    return {
        "slowdown": 1 + stall_ms / 1e3 / ours.compute_s,
        "stall_ms": stall_ms,
        "au_configured": trained["au_configured"],
        "au_measured": trained["au_measured"],
        "steps": len(kept),
        "requests_per_sample": trained["requests"] / trained["samples_read"],
        "bytes_per_sample": trained["bytes_read"] / trained["samples_read"],
        "cpu_us_per_sample": 1e6 * trained["cpu_s"] / trained["samples_read"],
    }
