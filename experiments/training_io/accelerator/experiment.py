"""How long does an accelerator wait for each backend, format and number of readers?"""

import json
from dataclasses import asdict, replace
from typing import Any

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.systems import packages
from experiments.systems.environment.memory_limit import device_bytes_read
from experiments.training_io import backends
from experiments.training_io.data import dataset, formats, samples
from experiments.training_io.loops import training_loop
from experiments.training_io.loops.training_loop import Loop, closed_form_stall_s

DATA_SET_BYTES, LARGE_BYTES = 30e6, 90e6
CEILING_STEPS = 20
CLIENT_BOUND = 0.8  # share of the harness's own ceiling against memory
# The device must have read this share of the fetched bytes. Under the memory limit, some pages stay
# in the cache until they are read again.
LEAST_FROM_DEVICE = {"disk": 0.95, "disk-cgroup": 0.5}
# The packages that a format needs.
FORMATS = {
    "tfrecord": [packages.package("google-crc32c")],
    "webdataset": [packages.package("webdataset")],
}

experiment = Experiment(
    title="Accelerator utilisation and stalls",
    question="How long does an accelerator wait for each backend, format and number of readers?",
    factors=[
        Factor(
            "workload",
            ["resnet50", "unet3d", "cosmoflow"],
            meaning="published parameters, scaled; not an MLPerf result",
        ),
        Factor(
            "backend",
            [
                "null",
                "known",
                "tmpfs",
                "disk",
                "disk-cgroup",
                "juicefs",
                "nfs41",
                "s3-rclone",
                "s3-seaweedfs",
            ],
            meaning="null is memory, known has a latency and a bandwidth that were set; the others "
            "are real systems",
        ),
        Factor("format", list(formats.NAMES)),
        Factor("readers", [1, 2, 4], meaning="threads that fetch, check and decode"),
        Factor(
            "loader",
            ["threads", "torch"],
            meaning="the loop's own readers, or PyTorch's DataLoader",
        ),
    ],
    metrics=[
        Metric(
            "stall_ms",
            unit="ms",
            better="lower",
            kept="all samples",
            meaning="wait for a batch, each step but the first",
        ),
        Metric(
            "stall_share",
            unit="1",
            better="lower",
            meaning="share of the running time in which the accelerator waits",
        ),
        Metric(
            "stall_max_ms",
            unit="ms",
            better="lower",
            meaning="longest stall of the trial; grows with the steps",
        ),
        Metric(
            "au_configured",
            unit="1",
            better="higher",
            meaning="configured computation over running time (MLPerf Storage)",
        ),
        Metric(
            "au_measured",
            unit="1",
            better="higher",
            meaning="measured computation over running time",
        ),
        Metric(
            "first_batch_ms",
            unit="ms",
            better="lower",
            meaning="from opening the data set to the first batch",
        ),
        Metric("samples_per_s", unit="1/s", better="higher"),
        Metric(
            "of_ceiling",
            unit="1",
            better="neither",
            meaning="samples/s over the harness's own ceiling against memory",
        ),
        Metric(
            "ceiling_per_s",
            unit="1/s",
            better="higher",
            meaning="samples/s of the harness against memory, computing nothing",
        ),
        Metric(
            "bytes_per_byte_used",
            unit="1",
            better="lower",
            meaning="bytes fetched for each byte of sample decoded",
        ),
        Metric("requests_per_epoch", unit="1", better="lower"),
        Metric(
            "cpu_seconds_per_gb",
            unit="s/GB",
            better="lower",
            meaning="of the training process, servers not counted",
        ),
        Metric(
            "stall_over_closed_form",
            unit="1",
            better="neither",
            optional=True,
            meaning="mean stall over the closed form, where known",
        ),
        Metric(
            "device_share",
            unit="1",
            better="neither",
            optional=True,
            meaning="bytes the device read over bytes fetched, where cold",
        ),
    ],
    evidence=[
        Evidence(
            "bound_by",
            "the client itself, where samples/s come within 80 % of its ceiling; else the loop",
        ),
        Evidence("scaling", "the workload as it was run, as JSON"),
    ],
    packages=backends.PACKAGES,
    controls=dict(backend=["known"]),
    twin=dict(workload="resnet50", backend="s3-rclone", format="npy", readers=2, loader="threads"),
    timeout_s=90,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=2.0,
            disk_mb=600,
            counts=dict(base_steps=40, steps=40),
            workload=["resnet50"],
            backend=["null", "known", "disk", "s3-rclone"],
            format=["npy", "tfrecord"],
            readers=[2],
            loader=["threads"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=3.0,
            disk_mb=600,
            counts=dict(base_steps=100, steps=60),
            workload=["resnet50"],
            backend=["null", "known", "disk", "nfs41", "s3-rclone"],
            format=["npy", "tfrecord"],
            readers=[2],
            loader=["threads"],
        ),
        full=Scale(blocks=8, trial_seconds=3.2, disk_mb=600, counts=dict(base_steps=61, steps=49)),
    ),
)

BASE: dict[str, Any] = dict(workload="resnet50", format="npy", readers=2)
LARGE = "resnet50-npy-large"  # larger than the page cache under the memory limit


def is_base(cell):
    return all(getattr(cell, name) == level for name, level in BASE.items())


@experiment.valid
def valid(cell):
    """Every backend at the base cell; one factor at a time over S3, where each costs most."""
    if is_base(cell):
        return cell.loader == "threads" or cell.backend in ("null", "disk")
    away = [name for name, level in BASE.items() if getattr(cell, name) != level]
    if len(away) > 1 or cell.loader == "torch":
        return False
    return cell.backend == "s3-rclone" or (
        away == ["workload"] and cell.backend in ("null", "nfs41")
    )


@experiment.needs
def needs(cell):
    return [
        *backends.needs(cell.backend),
        *FORMATS.get(cell.format, []),
        *(["torch"] if cell.loader == "torch" else []),
    ]


@experiment.uses
def tools():
    return backends.tools()


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    for name, workload in samples.SCALED.items():
        count = int(DATA_SET_BYTES / workload.sample_bytes)
        for format_name in writable() if name == BASE["workload"] else [BASE["format"]]:
            dataset.make(folder / "data" / f"{name}-{format_name}", workload, count, format_name)
    workload = samples.SCALED[BASE["workload"]]
    dataset.make(
        folder / "data" / LARGE, workload, int(LARGE_BYTES / workload.sample_bytes), BASE["format"]
    )


def writable():
    """Return the formats whose packages are installed."""
    return [name for name in formats.NAMES if all(map(packages.present, FORMATS.get(name, [])))]


@experiment.trial
def trial(cell, site):
    workload, host = samples.SCALED[cell.workload], site.client
    data_set = LARGE if cell.backend == "disk-cgroup" else f"{cell.workload}-{cell.format}"
    folder = host.provide(site.programs / "data") / data_set
    steps = (
        site.counts.base_steps if is_base(cell) and cell.backend != "known" else site.counts.steps
    )
    loop = Loop(
        cell.format, workload.batch, workload.compute_s, steps, cell.readers, seed=site.seed % 2**32
    )
    with backends.open(cell.backend, host, folder) as opened:
        before = device_bytes_read(host, opened.folder) if cell.backend in LEAST_FROM_DEVICE else 0
        result = run(
            host, opened.prefix, dict(store=opened.store, loop=asdict(loop), loader=cell.loader)
        )
        if cell.backend in LEAST_FROM_DEVICE:
            result["device_bytes"] = device_bytes_read(host, opened.folder) - before
    nothing = dict(kind="null", folder=str(folder))
    at_most = asdict(replace(loop, compute_s=0.0, steps=CEILING_STEPS))
    result["ceiling_per_s"] = run(host, (), dict(store=nothing, loop=at_most, loader=cell.loader))[
        "samples_per_s"
    ]
    yield observation(cell, loop, workload, result)


def run(host, prefix, plan):
    argv = [*prefix, host.python, "-m", training_loop.__name__, json.dumps(plan)]
    return json.loads(host.run(argv, timeout=80).stdout)


def observation(cell, loop, workload, result):
    """Return one row. Raises `AssertionError` if the counts contradict each other."""
    stalls = result["stall_ms"]
    assert len(stalls) == loop.steps - 1, (
        f"{loop.steps} steps were asked for, {len(stalls)} stalls came"
    )
    assert result["payload_read"] >= result["payload_used"] > 0, "more bytes were used than read"
    share = result["samples_per_s"] / result["ceiling_per_s"]
    kept = (
        "stall_ms",
        "au_configured",
        "au_measured",
        "first_batch_ms",
        "samples_per_s",
        "ceiling_per_s",
        "bytes_per_byte_used",
        "requests_per_epoch",
        "cpu_seconds_per_gb",
    )
    return {
        **{name: result[name] for name in kept},
        "stall_share": sum(stalls) / 1e3 / result["elapsed_s"],
        "stall_max_ms": max(stalls),
        "of_ceiling": share,
        "bound_by": "the client itself" if share >= CLIENT_BOUND else "the loop",
        "scaling": json.dumps(asdict(workload)),
        "stall_over_closed_form": against_closed_form(loop, workload, result)
        if cell.backend == "known"
        else None,
        "device_share": cold_share(cell.backend, result)
        if cell.backend in LEAST_FROM_DEVICE
        else None,
    }


def against_closed_form(loop, workload, result):
    """Return the mean stall over its closed form, after the prefetched batches are used up.

    The closed form uses the measured computation, because a sleep lasts longer on a busy host.
    """
    warm = 4 * (loop.prefetch + loop.readers)
    stalls = result["stall_ms"][warm:]
    computed_s = result["au_measured"] * result["elapsed_s"] / loop.steps
    as_computed = replace(loop, compute_s=computed_s)
    unit = result["bytes_read"] / result["requests"]
    expected_s = closed_form_stall_s(as_computed, unit, **backends.KNOWN)
    assert expected_s > 0, (
        f"no control: the host was so busy that a computation took {1e3 * computed_s:.1f} ms"
    )
    return sum(stalls) / len(stalls) / 1e3 / expected_s


def cold_share(backend, result):
    """Return the bytes that the device read over the fetched bytes.

    Raises `AssertionError` if the share is too small, because then the page cache has answered and
    the trial was not cold.
    """
    share, least = result["device_bytes"] / result["bytes_read"], LEAST_FROM_DEVICE[backend]
    assert share >= least, (
        f"not cold: the device read {share:.0%} of the bytes that were fetched, "
        f"at least {least:.0%} is asked"
    )
    return share
