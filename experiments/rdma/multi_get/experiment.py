"""What do many GETs at once cost, from one reader and from many?

Several readers begin together (`gate.c`) and read for a fixed time, so that each meets the others
all the time. They share all cores that the server leaves: a server that sleeps leaves every core,
one that polls keeps the first for itself.
"""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common, counting, store
from experiments.systems import ucx

KIB = 1024
OBJECTS = 16384  # of 4 KiB: 64 MiB
FASTEST = 2_500_000  # GETs per second that no reader reaches: time ends the measuring of several
GATED = ["-Wl,--wrap=mark", str(Path(__file__).parent / "gate.c")]
# The store's name of each path, and how its server waits.
PATHS = {
    "cached": ("cached", "sleep"),
    "cached-emulated": ("cached", "poll"),
    "lookup": ("lookup", "sleep"),
    "message": ("message", "poll"),
    "together": ("together", "poll"),
}

experiment = Experiment(
    title="Many GETs at once",
    question="What do many GETs at once cost, from one reader and from many?",
    factors=[
        Factor(
            "path",
            list(PATHS),
            meaning="as in rdma/object_get; together asks for all keys of a batch by one message",
        ),
        Factor(
            "fabric",
            ["posix", "cma", "tcp", "rc", ucx.SOFT],
            meaning="as in rdma/object_get",
            same_code={ucx.SOFT: "rc"},
        ),
        Factor("keys", [1, 16, 64, 256], meaning="of a batch: all are begun before any is awaited"),
        Factor("readers", [1, 2, 4, 8], meaning="processes that read at the same time"),
    ],
    metrics=[
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="a whole batch of objects of 4 KiB, into one buffer",
        ),
        Metric(
            "us_per_key",
            unit="µs",
            better="lower",
            meaning="median latency of a batch over its keys",
        ),
        Metric(
            "gets_per_s",
            unit="1/s",
            better="higher",
            meaning="of all readers, keys counted; several begin together, and read as long",
        ),
        Metric(
            "reader_cores",
            unit="count",
            better="higher",
            emulation=True,
            meaning="cores that the readers share: all if the server sleeps, one less if it polls",
        ),
        Metric(
            "server_cpu_us_per_get",
            unit="µs",
            better="lower",
            meaning="CPU time of the server over all GETs; one that polls uses all of its core",
        ),
        Metric(
            "client_cpu_us_per_get",
            unit="µs",
            better="lower",
            meaning="CPU time of the readers, their comparison of every byte included",
        ),
        Metric(
            "messages_per_get",
            unit="1",
            better="lower",
            emulation=True,
            meaning="requests that readers sent over GETs",
        ),
        *counting.METRICS,
    ],
    evidence=[
        Evidence("transport_used", "what carried the reads"),
        Evidence("protocol_used", "how, in UCX's words or ours"),
    ],
    roles=("server", "client"),
    twin=dict(path="message", fabric="posix", keys=16, readers=1),
    timeout_s=180,  # an emulated machine is slow
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.5,
            disk_mb=20,
            counts=dict(gets=2_000, milliseconds=200),
            keys=[1, 16],
            readers=[1, 2],
            fabric=["posix"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.5,
            disk_mb=40,
            counts=dict(gets=5_000, milliseconds=250),
            keys=[1, 16],
            readers=[1, 2],
            fabric=["posix"],
        ),
        full=Scale(
            blocks=10, trial_seconds=0.8, disk_mb=200, counts=dict(gets=20_000, milliseconds=300)
        ),
    ),
)


@experiment.valid
def valid(cell):
    if cell.readers > 1 and cell.keys != 16:
        return False
    if cell.fabric == "tcp":
        return cell.path in ("cached-emulated", "message", "together") and cell.readers == 1
    if cell.path == "cached-emulated":
        return False
    if cell.fabric == "cma":
        return cell.path in ("cached", "lookup") and cell.readers == 1
    if cell.fabric in ucx.SOFT_ROCE:
        return cell.readers == 1 and cell.keys in (1, 16)
    return True


@experiment.needs
def needs(cell):
    return _common.needs(cell.fabric)


@experiment.uses
def tools():
    return _common.tools()


@experiment.build(needs=_common.BUILD_NEEDS)
def build(folder):
    store.build(folder / "store", GATED)


def cpus_of_readers(waiting, cpus):
    """Return the CPUs that readers share: all if the server sleeps, all but the first if it polls.

    On a single CPU they share it with the server, whatever it does.
    """
    return cpus if waiting == "sleep" or len(cpus) == 1 else cpus[1:]


@experiment.trial
def trial(cell, site):
    program, (path, waiting) = site.programs / "store", PATHS[cell.path]
    soft = cell.fabric in ucx.SOFT_ROCE
    objects, gets = (counting.OBJECTS, counting.GETS) if soft else (OBJECTS, site.counts.gets)
    seconds = 60.0 if soft else site.counts.milliseconds / 1e3
    most = gets if cell.readers == 1 else int(FASTEST * seconds)
    cpus = cpus_of_readers(waiting, site.client.cpus)
    with (
        counting.Counted(site, cell.fabric) as counted,
        store.Server(
            site.server, program, cell.fabric, 4 * KIB, preload=objects, waiting=waiting
        ) as server,
    ):
        readers = [
            store.Reader(
                site.client,
                server,
                program,
                path,
                4 * KIB,
                objects,
                max(1, most // cell.keys),
                warmup=max(1, gets // cell.keys // 10),
                max_seconds=seconds,
                lease_s=10,
                seed=(site.seed + number) % 2**32,
                cpu=cpus[-1 - number % len(cpus)],
                counters=counted.folders,
                batch=cell.keys,
            )
            for number in range(cell.readers)
        ]
        results = begun_together(site.client, readers, ucx.TRANSPORTS[cell.fabric].patience)
        seen = counted.metrics(results)
    if not cell.path.startswith(("message", "together")):
        ucx.check_emulation(cell.path, results[0]["protocol_used"])
    yield {**observation(cell, results), **seen, "reader_cores": len(cpus)}


def begun_together(host, readers, patience):
    """Run all readers, from the moment at which the last one is ready; return their results."""
    with ExitStack() as stack:
        for reader in readers:
            stack.enter_context(reader)
        for reader in readers:
            reader.process.read_line(store.HEADROOM_S * patience)
        host.run(["kill", "-USR1", *(reader.process.pid for reader in readers)])
        return [reader.result() for reader in readers]


def observation(cell, results):
    """Return the metrics of a cell from the results of its readers."""
    gets = cell.keys * sum(result["iterations_done"] for result in results)
    samples = np.concatenate([result["samples_us"] for result in results])
    # All readers measured at the same time; each has seen what the server used meanwhile.
    server_s = max(result["cpu_server_s"] for result in results)
    return {
        "latency_us": samples,
        "us_per_key": float(np.median(samples)) / cell.keys,
        "gets_per_s": gets / max(result["elapsed_s"] for result in results),
        "server_cpu_us_per_get": 1e6 * server_s / gets,
        "client_cpu_us_per_get": 1e6 * sum(result["cpu_client_s"] for result in results) / gets,
        "messages_per_get": sum(result["messages"] for result in results) / gets,
        "transport_used": results[0]["transport_used"],
        "protocol_used": results[0]["protocol_used"],
    }
