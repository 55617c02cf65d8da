"""What does a client that waits for answers hide of the latency of S3 GETs near saturation?"""

import json

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.systems import packages, rclone, seaweedfs
from experiments.training_io import backends
from experiments.training_io.clients import open_loop
from experiments.training_io.data import samples
from experiments.training_io.null import targets

OBJECTS, OBJECT_BYTES = 64, 64 * 1024
CONNECTIONS = 8
PAUSE_S, EVERY_S, PAUSED_RATE = 0.1, 0.5, 1000.0
CLOSED_KEPT = 1000  # a 99th percentile needs as many, and as many in each trial

experiment = Experiment(
    title="Open and closed loop near saturation",
    question="What does a client that waits for answers hide of the latency of S3 GETs near "
    "saturation?",
    factors=[
        Factor(
            "server",
            ["rclone", "seaweedfs", "null", "pausing"],
            meaning="null answers at once; pausing is silent for 0.1 s in every 0.5 s, at 1,000 "
            "requests a second: the control",
        ),
        Factor(
            "load",
            [0.5, 0.8, 0.95],
            unit="1",
            meaning="rate over the capacity that a closed loop found just before",
        ),
    ],
    metrics=[
        Metric(
            "intended_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="open loop: from when the request was due",
        ),
        Metric(
            "sent_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="the same requests: from when they were sent",
        ),
        Metric(
            "closed_us",
            unit="µs",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="closed loop at its own rate, its first thousand requests",
        ),
        Metric(
            "hidden_at_p99",
            unit="1",
            better="neither",
            meaning="p99 from when due over p99 from when sent, same requests",
        ),
        Metric(
            "capacity_per_s",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="rate of the closed loop, 8 connections",
        ),
        Metric(
            "rate_per_s", unit="1/s", better="higher", meaning="rate that the open loop attained"
        ),
        Metric(
            "attained",
            unit="1",
            better="neither",
            meaning="that rate over the one that was asked for",
        ),
        Metric(
            "client_cpu_share",
            unit="1",
            better="lower",
            meaning="share of one core that the client took",
        ),
        Metric("mean_wait_ms", unit="ms", better="lower", meaning="mean latency from when due"),
    ],
    packages=backends.PACKAGES,
    twin=dict(server="rclone", load=0.5),
    timeout_s=90,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.2,
            disk_mb=20,
            counts=dict(requests=1000, closed_seconds=0.2),
            server=["rclone", "null", "pausing"],
            load=[0.5],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.2,
            disk_mb=20,
            counts=dict(requests=1000, closed_seconds=0.2),
            server=["rclone", "null", "pausing"],
            load=[0.5, 0.95],
        ),
        full=Scale(
            blocks=8, trial_seconds=1.4, disk_mb=20, counts=dict(requests=2000, closed_seconds=0.4)
        ),
    ),
)


@experiment.valid
def valid(cell):
    if cell.server in ("null", "pausing"):  # the control has a fixed rate, not a load
        return cell.load == 0.5
    return cell.server == "rclone" or cell.load == 0.95


@experiment.needs
def needs(cell):
    served = cell.server not in ("null", "pausing")
    return backends.needs(f"s3-{cell.server}") if served else ["loopback"]


@experiment.uses
def tools():
    return {"rclone": rclone.version(), "seaweedfs": seaweedfs.version()}


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    bucket = folder / "data" / "objects"
    bucket.mkdir(parents=True, exist_ok=True)
    for number in range(OBJECTS):
        (bucket / f"{number:03d}").write_bytes(samples.content(number, OBJECT_BYTES))


@experiment.trial
def trial(cell, site):
    host = site.client
    plan = dict(
        names=[f"{number:03d}" for number in range(OBJECTS)],
        connections=CONNECTIONS,
        load=cell.load,
        requests=site.counts.requests,
        closed_seconds=site.counts.closed_seconds,
        seed=site.seed % 2**32,
    )
    if cell.server in ("null", "pausing"):
        pause = dict(stall_s=PAUSE_S, every_s=EVERY_S) if cell.server == "pausing" else {}
        with targets.s3(host, OBJECT_BYTES, **pause) as server:
            yield measured(host, server.store, plan | (dict(rate=PAUSED_RATE) if pause else {}))
        return
    with backends.open(
        f"s3-{cell.server}", host, host.provide(site.programs / "data") / "objects"
    ) as opened:
        yield measured(host, opened.store, plan)


def measured(host, store, plan):
    """Run the client and return one row.

    Raises `AssertionError` if the received bytes do not match the requests.
    """
    argv = [host.python, "-m", open_loop.__name__, json.dumps(plan | dict(store=store))]
    result = json.loads(host.run(argv, timeout=60).stdout)
    assert result["bytes"] == result["requests"] * OBJECT_BYTES, (
        "the bytes that came are not those that were asked for"
    )
    due, sent = (sorted(result[name]) for name in ("intended_us", "sent_us"))
    at = int(0.99 * (len(due) - 1))
    return {
        "intended_us": result["intended_us"],
        "sent_us": result["sent_us"],
        "closed_us": result["closed_us"][:CLOSED_KEPT] if "closed_us" in result else None,
        "hidden_at_p99": due[at] / sent[at],
        "capacity_per_s": result.get("capacity"),
        "rate_per_s": result["rate"],
        "attained": result["rate"] / result["asked_rate"],
        "client_cpu_share": result["cpu_share"],
        "mean_wait_ms": sum(due) / len(due) / 1e3,
    }
