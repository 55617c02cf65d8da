"""What does one-sidedness buy when the server's CPU is busy, or stopped?"""

import time

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common, counting, store
from experiments.systems import ucx

KIB = 1024
OBJECTS = 16384  # of 4 KiB: 64 MiB
LEAD_S = 0.05  # from the reader's first GET to the stop
PATHS = {
    "cached": "cached",
    "cached-emulated": "cached",
    "ucp_get": "get",
    "ucp_get-emulated": "get",
    "message": "message",
    "message-sleeping": "message",
}
EMULATED_MS = (6000, 2000)  # of measuring, and of a stop, in an emulated machine
MOST_GETS, MOST_EMULATED = 5_000_000, 100_000

experiment = Experiment(
    title="GETs from a server that stalls",
    question="What does one-sidedness buy when the server's CPU is busy, or stopped?",
    factors=[
        Factor("path", list(PATHS), meaning="as in rdma/object_get"),
        Factor(
            "fabric",
            ["posix", "cma", "tcp", "rc", ucx.SOFT],
            meaning="as in rdma/object_get",
            same_code={ucx.SOFT: "rc"},
        ),
        Factor(
            "server",
            ["free", "busy", "stopped"],
            meaning="its CPU is its own; shared with a process that computes; "
            "or it is stopped for a while (SIGSTOP)",
        ),
    ],
    metrics=[
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="a whole GET of 4 KiB",
        ),
        Metric("longest_ms", unit="ms", better="lower", meaning="the longest GET of the trial"),
        Metric(
            "gets_per_s",
            unit="1/s",
            better="higher",
            meaning="over the whole trial, stalls included",
        ),
        Metric(
            "stopped_ms",
            unit="ms",
            better="neither",
            optional=True,
            meaning="how long the server stood still",
        ),
        Metric(
            "stall_share",
            unit="1",
            better="lower",
            optional=True,
            meaning="the longest GET over the time that the server stood still; "
            "1: reading stood still as well",
        ),
        *counting.METRICS,
        Metric(
            "reads_without_beat",
            unit="count",
            better="higher",
            optional=True,
            emulation=True,
            meaning="the most one-sided reads that ended between two beats of the server: "
            "while it is stopped, it does not beat",
        ),
    ],
    evidence=[
        Evidence("transport_used", "what carried the reads"),
        Evidence("protocol_used", "how, in UCX's words or ours"),
    ],
    roles=("server", "client"),
    twin=dict(path="message", fabric="posix", server="stopped"),
    timeout_s=180,  # an emulated machine is slow
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.4,
            disk_mb=80,
            counts=dict(milliseconds=220, stop_ms=80),
            fabric=["posix"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.4,
            disk_mb=80,
            counts=dict(milliseconds=220, stop_ms=80),
            fabric=["posix"],
        ),
        full=Scale(
            blocks=10, trial_seconds=0.5, disk_mb=80, counts=dict(milliseconds=300, stop_ms=100)
        ),
    ),
)


@experiment.valid
def valid(cell):
    if cell.path == "message-sleeping":
        return cell.fabric == "posix"
    if cell.fabric == "tcp":
        return cell.path in ("cached-emulated", "message")
    if cell.fabric == "posix":
        return cell.path in ("cached", "ucp_get-emulated", "message")
    if cell.fabric == "cma":
        return cell.path == "cached"
    return not cell.path.endswith(ucx.EMULATED)


_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    program, soft = site.programs / "store", cell.fabric in ucx.SOFT_ROCE
    objects = counting.OBJECTS if soft else OBJECTS
    measure_ms, stop_ms = EMULATED_MS if soft else (site.counts.milliseconds, site.counts.stop_ms)
    with (
        counting.Counted(site, cell.fabric) as counted,
        store.Server(
            site.server,
            program,
            cell.fabric,
            4 * KIB,
            preload=objects,
            waiting="sleep" if cell.path in ("cached", "message-sleeping") else "poll",
        ) as server,
    ):
        reader = store.Reader(
            site.client,
            server,
            program,
            PATHS[cell.path],
            4 * KIB,
            objects,
            iterations=MOST_EMULATED if soft else MOST_GETS,
            warmup=10 if soft else 100,
            max_seconds=measure_ms / 1e3,
            lease_s=10,
            seed=site.seed % 2**32,
            counters=counted.folders,
        )
        if cell.server == "busy":
            spin = [
                site.server.provide(program),
                "spin",
                "--cpu",
                site.server.cpus[0],
                "--max-seconds",
                60,
            ]
            with site.server.start(spin), reader:
                result, stopped = reader.result(), None
        elif cell.server == "stopped":
            with reader:
                stopped = stop_meanwhile(server, reader, stop_ms / 1e3)
                result = reader.result()
        else:
            with reader:
                result, stopped = reader.result(), None
        seen = counted.metrics([result])
    if not cell.path.startswith("message"):
        ucx.check_emulation(cell.path, result["protocol_used"])
        seen["reads_without_beat"] = result["most_without_beat"]
    yield {**observation(result, stopped), **seen}


def stop_meanwhile(server, reader, seconds):
    """Stop the server for a while in the midst of reading; return for how many seconds."""
    reader.wait_until_measuring()
    time.sleep(LEAD_S)
    server.signal("STOP")
    began = time.monotonic()
    time.sleep(seconds)
    ended = time.monotonic()
    still_reading = reader.process.poll() is None
    server.signal("CONT")
    if not still_reading:
        raise RuntimeError(
            "the reader ended before the stop did; measure for longer (milliseconds, stop_ms)"
        )
    return ended - began


def observation(result, stopped):
    """Return a trial's metrics; `stopped` is how many seconds the server stood still, or None."""
    longest = float(result["samples_us"].max()) / 1e3
    return {
        "latency_us": result["samples_us"],
        "longest_ms": longest,
        "gets_per_s": result["iterations_done"] / result["elapsed_s"],
        "stopped_ms": None if stopped is None else 1e3 * stopped,
        "stall_share": None if stopped is None else longest / (1e3 * stopped),
        "transport_used": result["transport_used"],
        "protocol_used": result["protocol_used"],
    }
