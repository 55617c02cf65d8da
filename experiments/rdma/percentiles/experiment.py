"""How far apart can the "latency" of one system be, as tools report it?"""

import numpy as np

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common, counting, store
from experiments.systems import ucx

KIB = 1024
OBJECTS = 16384  # of 4 KiB: 64 MiB
QUEUE = 2048  # ucx_perftest takes its percentiles from so many samples, the last ones

# What a tool may print as "the latency" of the same samples (µs, in order).
REPORTS = {
    "least": lambda samples: np.min(samples),
    "half of the median": lambda samples: np.median(samples) / 2,
    "median": lambda samples: np.median(samples),
    "median of the last 2,048": lambda samples: np.median(samples[-QUEUE:]),
    "mean": lambda samples: np.mean(samples),
    "half of the mean": lambda samples: np.mean(samples) / 2,
    "99th percentile": lambda samples: np.quantile(samples, 0.99, method="lower"),
    "99th percentile of the last 2,048": lambda samples: np.quantile(
        samples[-QUEUE:], 0.99, method="lower"
    ),
    "99.9th percentile": lambda samples: np.quantile(samples, 0.999, method="lower"),
    "largest": lambda samples: np.max(samples),
}

experiment = Experiment(
    title="One latency, reported in ten ways",
    question='How far apart can the "latency" of one system be, as tools report it?',
    factors=[
        Factor(
            "path",
            ["cached", "cached-emulated", "message"],
            meaning="as in rdma/object_get, 4 KiB, one GET in flight",
        ),
        Factor(
            "fabric",
            ["posix", "tcp", "rc", ucx.SOFT],
            meaning="as in rdma/object_get",
            same_code={ucx.SOFT: "rc"},
        ),
    ],
    metrics=[
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="a whole GET: the full round trip",
        ),
        Metric("least_us", unit="µs", better="lower", meaning="the least sample"),
        Metric(
            "half_median_us",
            unit="µs",
            better="lower",
            meaning="half of the median, as ping-pong tools print it",
        ),
        Metric("median_us", unit="µs", better="lower", meaning="the median of all samples"),
        Metric(
            "median_last_us",
            unit="µs",
            better="lower",
            meaning="the median of the last 2,048 samples",
        ),
        Metric("mean_us", unit="µs", better="lower", meaning="the mean of all samples"),
        Metric("half_mean_us", unit="µs", better="lower", meaning="half of the mean"),
        Metric("p99_us", unit="µs", better="lower", meaning="the 99th percentile of all samples"),
        Metric(
            "p99_last_us",
            unit="µs",
            better="lower",
            meaning="the 99th percentile of the last 2,048 samples",
        ),
        Metric(
            "p999_us", unit="µs", better="lower", meaning="the 99.9th percentile of all samples"
        ),
        Metric("largest_us", unit="µs", better="lower", meaning="the largest sample"),
        Metric(
            "spread",
            unit="1",
            better="neither",
            meaning="99.9th percentile over half of the median",
        ),
        Metric(
            "mean_over_median", unit="1", better="neither", meaning="mean over median, all samples"
        ),
        Metric(
            "p99_last_over_all",
            unit="1",
            better="neither",
            meaning="99th percentile, last 2,048 samples over all",
        ),
        *counting.METRICS,
    ],
    evidence=[
        Evidence("transport_used", "what carried the reads"),
        Evidence("protocol_used", "how, in UCX's words or ours"),
    ],
    roles=("server", "client"),
    twin=dict(path="cached", fabric="posix"),
    timeout_s=180,  # an emulated machine is slow
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=0.4, disk_mb=80, counts=dict(fast=20_000, slow=4_000)),
        quick=Scale(blocks=5, trial_seconds=0.5, disk_mb=80, counts=dict(fast=50_000, slow=10_000)),
        full=Scale(
            blocks=10, trial_seconds=1.0, disk_mb=80, counts=dict(fast=200_000, slow=30_000)
        ),
    ),
)

METRICS = dict(
    zip(REPORTS, (metric.name for metric in experiment.metrics[1 : len(REPORTS) + 1]), strict=True)
)


@experiment.valid
def valid(cell):
    return cell.path == "message" or (cell.fabric == "tcp") == (cell.path == "cached-emulated")


_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    program, soft = site.programs / "store", cell.fabric in ucx.SOFT_ROCE
    iterations = site.counts.fast if cell.fabric == "posix" else site.counts.slow
    iterations, objects = (counting.GETS, counting.OBJECTS) if soft else (iterations, OBJECTS)
    with (
        counting.Counted(site, cell.fabric) as counted,
        store.Server(site.server, program, cell.fabric, 4 * KIB, preload=objects) as server,
    ):
        result = store.measure(
            site.client,
            server,
            program,
            cell.path.removesuffix(ucx.EMULATED),
            4 * KIB,
            objects,
            iterations,
            warmup=iterations // 10,
            seed=site.seed % 2**32,
            counters=counted.folders,
            max_seconds=60 if soft else 10,
        )
        seen = counted.metrics([result])
    if cell.path != "message":
        ucx.check_emulation(cell.path, result["protocol_used"])
    yield {
        "latency_us": result["samples_us"],
        **reports(result["samples_us"]),
        **seen,
        "transport_used": result["transport_used"],
        "protocol_used": result["protocol_used"],
    }


def reports(samples):
    """Return every report of the samples by metric, and the ratios between them."""
    values = {METRICS[name]: float(report(samples)) for name, report in REPORTS.items()}
    return {
        **values,
        "spread": values["p999_us"] / values["half_median_us"],
        "mean_over_median": values["mean_us"] / values["median_us"],
        "p99_last_over_all": values["p99_last_us"] / values["p99_us"],
    }
