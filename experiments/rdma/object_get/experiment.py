"""Where do the microseconds of an object GET go?"""

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common, counting, store
from experiments.rdma import get_paths as others
from experiments.rdma.object_get import cells, own_store
from experiments.systems import ucx

KIB, MIB = 1024, 1 << 20
# Numbers of objects for which the reads of the index are counted.
SCALING = (10**4, 10**5, 10**6, 10**7)

# Without the systems that take seconds to start.
QUICK = [
    *own_store.PATHS,
    "null-python",
    "memcached",
    "redis",
    "mooncake",
    "http",
    "rclone-obstore",
]

experiment = Experiment(
    title="The ladder of an object GET",
    question="Where do the microseconds of an object GET go?",
    factors=[
        Factor(
            "path",
            [*own_store.PATHS, *others.SYSTEMS],
            meaning="how the object is got; "
            "null and null-python are the two measuring loops around nothing, bound is "
            "cached next to memcpy, the checksum and UCX's get in one process; "
            "UCX carries out what ends in -emulated by messages, with the server's CPU",
        ),
        Factor(
            "fabric",
            ["posix", "cma", "tcp", "unix", *cells.ADAPTERS, *ucx.SOFT_ROCE],
            meaning="what carries it (unix: a Unix socket); rc_soft_roce is rc between "
            "emulated machines, for counts only, and lossy if the link loses 1 % of all frames",
            same_code={ucx.SOFT: "rc"},
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
            emulation=True,
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
            emulation=True,
            meaning="entries read, or requests, for one GET",
        ),
        Metric(
            "index_reads_per_get",
            unit="1",
            better="lower",
            optional=True,
            emulation=True,
            meaning="index buckets read for one GET",
        ),
        Metric(
            "bytes_per_object",
            unit="B",
            better="lower",
            optional=True,
            emulation=True,
            meaning="memory of the server's index and heap for one object",
        ),
        Metric(
            "writes_per_s",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="of the server, meanwhile",
        ),
        *counting.METRICS,
        Metric(
            "share_of_native_bound",
            unit="1",
            better="lower",
            optional=True,
            meaning="median of cached over the sum of the medians of memcpy and the checksum, "
            f"and {own_store.ALLOWANCE_US} µs",
        ),
        Metric(
            "emulated_us",
            unit="µs",
            better="lower",
            optional=True,
            meaning="median of UCX's get in that process, which UCX emulates by messages",
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
    timeout_s=180,  # an emulated machine is slow
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


experiment.valid(cells.valid)


@experiment.needs
def needs(cell):
    return (
        others.needs(cell.path, cell.fabric)
        if cell.path in others.SYSTEMS
        else _common.needs(cell.fabric)
    )


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
