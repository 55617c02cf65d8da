"""What does a PUT cost that outlasts its server?"""

from contextlib import ExitStack
from typing import Any

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common, store
from experiments.rdma.store import putting

KIB = 1024
OBJECTS = 64  # that are put again and again; reading one back is part of each trial
HEAP_MIB = 64

# What has happened when a PUT is acknowledged: (number of replicas, in a log, synced to its disk).
KEPT = {
    "memory": (0, False, False),
    "one replica": (1, False, False),
    "two replicas": (2, False, False),
    "log": (0, True, False),
    "synced log": (0, True, True),
    "synced log and replica": (1, True, True),
}

experiment = Experiment(
    title="PUTs that outlast their server",
    question="What does a PUT cost that outlasts its server?",
    factors=[
        Factor(
            "kept",
            list(KEPT),
            meaning="where the object is when its PUT is acknowledged, besides its memory: "
            "in that of other processes, in a log, or in a log after fdatasync",
        ),
        Factor("fabric", ["posix", "tcp", "rc"], meaning="between client, server and replicas"),
        Factor("size_bytes", [64, 4 * KIB, 64 * KIB], unit="B"),
    ],
    metrics=[
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="a PUT, from the call to its acknowledgement, one at a time",
        ),
        Metric("puts_per_s", unit="1/s", better="higher"),
        Metric(
            "server_cpu_us_per_put",
            unit="µs",
            better="lower",
            meaning="CPU time of the server that acknowledges, without its replicas; it sleeps",
        ),
        Metric(
            "read_back",
            unit="count",
            better="higher",
            meaning="objects that were then read, each with its last value",
        ),
    ],
    evidence=[Evidence("log_on", "the type of the log's file system")],
    roles=("server", "client"),
    twin=dict(kept="one replica", fabric="posix", size_bytes=4 * KIB),
    timeout_s=90,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.5,
            disk_mb=40,
            counts=dict(puts=400, milliseconds=200),
            size_bytes=[4 * KIB],
            fabric=["posix"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.6,
            disk_mb=40,
            counts=dict(puts=1_000, milliseconds=300),
            size_bytes=[4 * KIB],
            fabric=["posix", "tcp"],
        ),
        full=Scale(
            blocks=10, trial_seconds=1.0, disk_mb=400, counts=dict(puts=4_000, milliseconds=600)
        ),
    ),
)

_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    program, (replicas, logged, synced) = site.programs / "store", KEPT[cell.kept]
    log = site.server.scratch() / "log" if logged else None
    common: dict[str, Any] = dict(capacity=OBJECTS, heap_mib=HEAP_MIB, waiting="sleep")
    with ExitStack() as stack:

        def server(**more):
            made = store.Server(
                site.server, program, cell.fabric, cell.size_bytes, **common, **more
            )
            return stack.enter_context(made)

        others = [server() for _ in range(replicas)]
        first = server(log=log, sync=synced, replicas=others)
        result = putting.put(
            site.client,
            first,
            program,
            cell.size_bytes,
            OBJECTS,
            site.counts.puts,
            warmup=20,
            max_seconds=site.counts.milliseconds / 1e3,
            seed=site.seed % 2**32,
        )
    log_on = site.server.run(["stat", "-f", "-c", "%T", log]).stdout.strip() if log else "no log"
    yield {
        "latency_us": result["samples_us"],
        "puts_per_s": result["puts"] / result["elapsed_s"],
        "server_cpu_us_per_put": 1e6 * result["cpu_server_s"] / result["puts"],
        "read_back": result["right"],
        "log_on": log_on,
    }
