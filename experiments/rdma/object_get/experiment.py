"""Where do the microseconds of an object GET go?"""

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common, store
from experiments.rdma import get_paths as others
from experiments.rdma.object_get import own_store

KIB, MIB = 1024, 1 << 20
# Numbers of objects for which the reads of the index are counted.
SCALING = (10**4, 10**5, 10**6, 10**7)

ADAPTERS = ("rc", "dc")
# Without the systems that take seconds to start.
QUICK = [*own_store.PATHS, "null-python", "mooncake", "http", "rclone-obstore"]

experiment = Experiment(
    title="The ladder of an object GET",
    question="Where do the microseconds of an object GET go?",
    factors=[
        Factor(
            "path",
            [*own_store.PATHS, *others.SYSTEMS],
            meaning="how the object is got; "
            "null and null-python are the two measuring loops around nothing, bound is "
            "cached beside a raw read and the checksum in one process",
        ),
        Factor(
            "fabric",
            ["posix", "cma", "tcp", *ADAPTERS],
            meaning="what carries it; HTTP, S3 and Mooncake: tcp",
        ),
        Factor("size_bytes", [64, 4 * KIB, 64 * KIB, 4 * MIB], unit="B"),
        Factor("outstanding", [1, 16, 64], meaning="GETs in flight of one reader"),
        Factor("readers", [1, 2], meaning="reading processes; the second shares the server's CPU"),
        Factor(
            "writer",
            ["none", "full speed"],
            meaning="whether the server writes to the objects that are read",
        ),
        Factor(
            "objects",
            [0, *SCALING],
            meaning="how many the store holds; 0: as many as make up 64 MiB, with a writer 64",
        ),
    ],
    metrics=[
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="a whole GET: "
            "from the call until the validated object is in the reader's buffer",
        ),
        Metric(
            "gets_per_s",
            unit="1/s",
            better="higher",
            meaning="with the comparison of every byte in the time",
        ),
        Metric(
            "gb_per_s", unit="GB/s", better="higher", meaning="bytes of values per second, likewise"
        ),
        Metric(
            "client_cpu_s_per_gb",
            unit="s/GB",
            better="lower",
            optional=True,
            meaning="CPU time of the readers",
        ),
        Metric(
            "server_cpu_s_per_gb",
            unit="s/GB",
            better="lower",
            optional=True,
            meaning="CPU time of the server while measuring; one that polls uses all of it",
        ),
        Metric(
            "torn_reads",
            unit="count",
            better="lower",
            optional=True,
            meaning="values that were no whole version",
        ),
        Metric(
            "torn_share",
            unit="1",
            better="lower",
            optional=True,
            meaning="torn reads over all reads",
        ),
        Metric(
            "reads_per_get",
            unit="1",
            better="lower",
            optional=True,
            meaning="entries read, or requests, for one GET",
        ),
        Metric(
            "index_reads_per_get",
            unit="1",
            better="lower",
            optional=True,
            meaning="index buckets read for one GET",
        ),
        Metric(
            "bytes_per_object",
            unit="B",
            better="lower",
            optional=True,
            meaning="memory of the server's index and heap for one object",
        ),
        Metric(
            "writes_per_s",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="of the server, meanwhile",
        ),
        Metric(
            "share_of_bound",
            unit="1",
            better="lower",
            optional=True,
            meaning="median of cached over the sum of the medians of a raw read and a checksum, "
            f"and {own_store.ALLOWANCE_US} µs",
        ),
        Metric(
            "raw_us",
            unit="µs",
            better="lower",
            optional=True,
            meaning="median of ucp_get_nbx in that process",
        ),
        Metric(
            "checksum_us",
            unit="µs",
            better="lower",
            optional=True,
            meaning="median of the checksum alone, there",
        ),
        Metric(
            "memcpy_us",
            unit="µs",
            better="lower",
            optional=True,
            meaning="median of memcpy from there, likewise",
        ),
    ],
    evidence=[
        Evidence("transport_used", "what carried the reads"),
        Evidence("protocol_used", "how, in UCX's words or ours"),
    ],
    roles=("server", "client"),
    packages=others.PACKAGES,
    controls=dict(path=["null-python"]),
    twin=dict(
        path="bound",
        fabric="posix",
        size_bytes=4 * KIB,
        outstanding=1,
        readers=1,
        writer="none",
        objects=0,
    ),
    timeout_s=90,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.6,
            disk_mb=80,
            counts=dict(fast=2_000, slow=100, large=10),
            size_bytes=[64, 4 * KIB],
            outstanding=[1],
            readers=[1],
            objects=[0, 10**4],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.4,
            disk_mb=80,
            counts=dict(fast=5_000, slow=200, large=10),
            path=QUICK,
            size_bytes=[64, 4 * KIB],
            outstanding=[1],
            readers=[1],
            objects=[0, 10**4, 10**6],
        ),
        full=Scale(
            blocks=10, trial_seconds=0.6, disk_mb=1500, counts=dict(fast=20_000, slow=300, large=20)
        ),
    ),
)


@experiment.valid
def valid(cell):
    if cell.objects:
        plain = (cell.outstanding, cell.readers, cell.writer) == (1, 1, "none")
        return plain and (cell.path, cell.fabric, cell.size_bytes) == ("lookup", "posix", 64)
    if cell.path in others.SYSTEMS:
        return (
            cell.fabric == "tcp"
            and others.measured(cell.path, cell.size_bytes, cell.outstanding)
            and (cell.readers, cell.writer, cell.objects) == (1, "none", 0)
        )
    if cell.writer != "none":
        return contended(cell)
    if cell.readers > 1:
        here = (cell.fabric, cell.size_bytes, cell.outstanding) == ("posix", 4 * KIB, 1)
        # A second reader takes the server's CPU, so the server must not poll.
        return here and cell.path in ("cached", "lookup")
    if cell.outstanding > 1:
        return pipelined(cell)
    return alone(cell)


def alone(cell):
    """True if a cell of one reader with one GET in flight makes sense."""
    if (
        cell.path in ("null", "bound", "cached-unvalidated", "message-sleeping")
        and cell.size_bytes != 4 * KIB
    ):
        return False
    if cell.path in ("null", "memcpy", "bound"):
        return cell.fabric == "posix"
    if cell.path == "cached-unvalidated":
        return False
    if cell.path in ("message", "message-sleeping") and cell.fabric == "cma":
        return False  # UCX carries short messages over another transport
    # All sizes only where start-up does not dominate.
    return cell.fabric == "posix" or cell.size_bytes in (4 * KIB, 4 * MIB)


def contended(cell):
    """True if a cell with a writer makes sense."""
    if (cell.size_bytes, cell.outstanding, cell.readers) != (4 * KIB, 1, 1):
        return False
    paths = {
        "posix": ("cached", "cached-unvalidated", "lookup", "message"),
        "cma": ("cached", "cached-unvalidated"),
    }
    return cell.path in paths.get(cell.fabric, ())


def pipelined(cell):
    """True if a cell with several GETs in flight makes sense.

    A load from mapped memory, or a copy by the kernel, is finished when it returns.
    """
    if cell.size_bytes != 4 * KIB:
        return False
    if cell.fabric == "posix":
        return cell.path == "message"
    return cell.fabric in ("tcp", *ADAPTERS) and cell.path in ("ucp_get", "cached", "message")


@experiment.needs
def needs(cell):
    return others.needs(cell.path) if cell.path in others.SYSTEMS else _common.needs(cell.fabric)


@experiment.uses
def tools():
    return {**_common.tools(), **others.versions()}


@experiment.build(needs=_common.BUILD_NEEDS)
def build(folder):
    store.build(folder / "store")


@experiment.trial
def trial(cell, site):
    if cell.path in others.SYSTEMS:
        yield others.observe(cell, site)
    else:
        yield own_store.observe(cell, site)
