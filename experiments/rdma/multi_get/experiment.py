"""What do many GETs at once cost, from one reader and from many?"""

from contextlib import ExitStack

import numpy as np

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common, counting, store
from experiments.systems import ucx

KIB = 1024
OBJECTS = 16384  # of 4 KiB: 64 MiB
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
        Metric("gets_per_s", unit="1/s", better="higher", meaning="of all readers, keys counted"),
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
            blocks=10, trial_seconds=0.8, disk_mb=200, counts=dict(gets=20_000, milliseconds=400)
        ),
    ),
)


@experiment.valid
def valid(cell):
    if cell.readers > 1 and cell.keys not in (1, 16):
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


_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    program, (path, waiting) = site.programs / "store", PATHS[cell.path]
    soft = cell.fabric in ucx.SOFT_ROCE
    objects, gets = (counting.OBJECTS, counting.GETS) if soft else (OBJECTS, site.counts.gets)
    seconds = 60.0 if soft else site.counts.milliseconds / 1e3
    batches = max(1, gets // cell.keys)
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
                batches,
                warmup=max(1, batches // 10),
                max_seconds=seconds,
                lease_s=10,
                seed=(site.seed + number) % 2**32,
                # The server has the first CPU to itself, as far as there are others.
                cpu=site.client.cpus[-1 - number % max(1, len(site.client.cpus) - 1)],
                counters=counted.folders,
                batch=cell.keys,
            )
            for number in range(cell.readers)
        ]
        with ExitStack() as stack:
            for reader in readers:
                stack.enter_context(reader)
            results = [reader.result() for reader in readers]
        seen = counted.metrics(results)
    if not cell.path.startswith(("message", "together")):
        ucx.check_emulation(cell.path, results[0]["protocol_used"])
    yield {**observation(cell, results), **seen}


def observation(cell, results):
    """Return the metrics of a cell from the results of its readers."""
    gets = cell.keys * sum(result["iterations_done"] for result in results)
    samples = np.concatenate([result["samples_us"] for result in results])
    # The readers run at about the same time; each has seen what the server used meanwhile.
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
