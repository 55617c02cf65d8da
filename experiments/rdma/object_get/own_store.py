"""The cells of rdma/object_get on our own store: what each runs, and what it observes."""

import numpy as np

from experiments.rdma import counting, store
from experiments.systems import ucx

MIB = 1 << 20
WORKING_SET = 64 * MIB  # bytes of objects, from which objects are drawn at random
LONGEST_S = 5.0  # s of measuring in a trial
HOT_OBJECTS = 64  # with a writer; so few that reads and writes meet
ALLOWANCE_US = 0.05  # what `cached` may take beyond memcpy and the checksum, done one by one

# The program `store`'s name of each path. A server sleeps if its readers load from mapped memory,
# or if their kernel copies, because they need no server. The other servers poll, except on the one
# path that is about sleeping.
PATHS = {
    "null": "null",
    "memcpy": "memcpy",
    "ucp_get": "get",
    "cached": "cached",
    "cached-unvalidated": "cached",
    "lookup": "lookup",
    "ucp_get-emulated": "get",
    "cached-emulated": "cached",
    "lookup-emulated": "lookup",
    "message": "message",
    "message-sleeping": "message",
    "bound": "bound",
}


# The names of these say whether UCX emulates them.
NAMED_AFTER_UCX = [
    path for path, program in PATHS.items() if program in ("get", "cached", "lookup")
]


def objects_of(cell):
    """Return how many objects the store holds in a cell."""
    if cell.objects:
        return cell.objects
    if cell.writer != "none":
        return HOT_OBJECTS
    if cell.fabric in ucx.SOFT_ROCE:
        return counting.OBJECTS
    return max(16, WORKING_SET // cell.size_bytes)


def waiting_of(cell):
    """Return how the server waits: it sleeps if it takes no part in its cell."""
    if cell.fabric in ucx.SOFT_ROCE and cell.path != "message":
        return "sleep"  # the guest's only CPU belongs to its kernel, which answers the reads
    asleep = ("null", "memcpy", "cached", "cached-unvalidated", "lookup", "message-sleeping")
    return "sleep" if cell.path in asleep else "poll"


def iterations_of(cell, counts):
    """Return the number of timed GETs of a cell, from the counts of its scale."""
    if cell.fabric in ucx.SOFT_ROCE:
        return counting.GETS
    if cell.size_bytes >= MIB:
        return counts.large
    if cell.writer != "none" or cell.path == "null":  # a few ms more, to meet the writer
        return 10 * counts.fast
    slow = cell.fabric not in ("posix", "cma") or cell.path == "message-sleeping"
    return max(100, counts.fast // 10) if slow else counts.fast


def observe(cell, site):
    """Run a cell on our own store; return its observation."""
    program, objects, iterations = (
        site.programs / "store",
        objects_of(cell),
        iterations_of(cell, site.counts),
    )
    with (
        counting.Counted(site, cell.fabric) as counted,
        store.Server(
            site.server,
            program,
            cell.fabric,
            cell.size_bytes,
            preload=objects,
            waiting=waiting_of(cell),
        ) as server,
    ):
        readers = [
            store.Reader(
                site.client,
                server,
                program,
                PATHS[cell.path],
                cell.size_bytes,
                objects,
                iterations,
                warmup=iterations // 10,
                outstanding=cell.outstanding,
                validate=cell.path != "cached-unvalidated",
                writer="none" if cell.writer == "none" else "same-size",
                seed=(site.seed + number) % 2**32,
                cpu=site.client.cpus[-1 - number % len(site.client.cpus)],
                max_seconds=LONGEST_S * ucx.TRANSPORTS[cell.fabric].patience,
                counters=counted.folders,
            )
            for number in range(cell.readers)
        ]
        results = run_together(readers)
        held, seen = server.ready, counted.metrics(results)
    if cell.path in NAMED_AFTER_UCX:
        ucx.check_emulation(cell.path, results[0]["protocol_used"])
    bytes_held = held["index_bytes"] + held["heap_bytes"]
    observed = observation(cell, results)
    return {**observed, **seen, "bytes_per_object": bytes_held / held["objects"]}


def run_together(readers):
    """Run all readers at the same time, and return their results."""
    if len(readers) == 1:
        with readers[0] as reader:
            return [reader.result()]
    with readers[0] as first, readers[1] as second:
        return [first.result(), second.result()]


def observation(cell, results):
    """Return the metrics of a cell from the results of its readers."""
    first = results[0]
    gets, gigabytes = (
        sum(reader["iterations_done"] for reader in results),
        sum(reader["bytes"] for reader in results) / 1e9,
    )
    elapsed = max(reader["elapsed_s"] for reader in results)
    contended = cell.writer != "none"
    result = {
        "gets_per_s": gets / elapsed,
        "gb_per_s": gigabytes / elapsed,
        "torn_reads": float(sum(reader["torn"] for reader in results)),
        "torn_share": sum(reader["torn"] for reader in results) / gets,
        "reads_per_get": sum(reader["entry_reads"] + reader["messages"] for reader in results)
        / gets,
        "index_reads_per_get": sum(reader["index_reads"] for reader in results) / gets,
        "writes_per_s": first["server_writes"] / first["elapsed_s"] if contended else None,
        "transport_used": first["transport_used"],
        "protocol_used": first["protocol_used"],
    }
    if gigabytes:
        result["client_cpu_s_per_gb"] = (
            sum(reader["cpu_client_s"] for reader in results) / gigabytes
        )
        result["server_cpu_s_per_gb"] = (
            max(reader["cpu_server_s"] for reader in results) / gigabytes
        )
    if cell.path != "bound":
        return {
            **result,
            "latency_us": np.concatenate([reader["samples_us"] for reader in results]),
        }
    return {**result, **against_bound(first["samples_us"]), "reads_per_get": None}


def against_bound(series):
    """Compare `cached` with the costs of its parts, all in one process and at random objects."""
    medians = {name: float(np.median(samples)) for name, samples in series.items()}
    bound = medians["memcpy"] + medians["checksum"] + ALLOWANCE_US
    return {
        "latency_us": series["cached"],
        "share_of_native_bound": medians["cached"] / bound,
        "emulated_us": medians["get"],
        "checksum_us": medians["checksum"],
        "memcpy_us": medians["memcpy"],
    }
