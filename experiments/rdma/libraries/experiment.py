"""Does another library, or a copy into a GPU, change what a one-sided read costs?"""

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common, store
from experiments.rdma.libraries import fi_reads
from experiments.systems import libfabric, ucx

KIB, MIB = 1024, 1 << 20
WORKING_SET = 64 * MIB  # bytes of objects, from which objects are drawn at random
LONGEST_S = 2
# By the name of a level, the program `store`'s name of the path.
UCX_PATHS = {"memcpy": "memcpy", "ucp_get": "get", f"ucp_get{ucx.EMULATED}": "get"}
FI_PATHS = ("fi_read", f"fi_read{ucx.EMULATED}")

experiment = Experiment(
    title="Libraries of one-sided reads",
    question="Does another library, or a copy into a GPU, change what a one-sided read costs?",
    factors=[
        Factor(
            "read",
            [*UCX_PATHS, *FI_PATHS],
            meaning="UCX's ucp_get or libfabric's fi_read, without any check of the object; "
            "what ends in -emulated needs the far side's processor",
        ),
        Factor(
            "fabric",
            ["posix", "cma", "tcp", "rc"],
            meaning="what carries it; libfabric's provider shm is posix, and cma where the kernel "
            "copies for it",
        ),
        Factor("size_bytes", [64, 4 * KIB, 4 * MIB], unit="B"),
        Factor(
            "into",
            ["host", "gpu-pinned", "gpu-direct"],
            meaning="where the object ends; gpu-pinned: in a GPU, copied from pinned memory of the "
            "host; gpu-direct: in a GPU, where the adapter writes it. The authors had no GPU, and "
            "have never run this code",
        ),
    ],
    metrics=[
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="a read, until the object is where it should end",
        ),
        Metric(
            "right_reads",
            unit="count",
            better="higher",
            meaning="reads whose every byte was that of the requested object",
        ),
        Metric(
            "client_cpu_us_per_read",
            unit="µs",
            better="lower",
            meaning="CPU time of the reader, its comparison of every byte included",
        ),
        Metric(
            "came_while_frozen",
            unit="1",
            better="neither",
            optional=True,
            meaning="of the reads that libfabric was asked for while the holder was frozen, "
            "the share that came",
        ),
    ],
    evidence=[
        Evidence("transport_used", "what carried the reads: UCX's transport, libfabric's provider"),
        Evidence("protocol_used", "how, in UCX's words; of libfabric, whether the holder helped"),
    ],
    roles=("server", "client"),
    twin=dict(read=f"fi_read{ucx.EMULATED}", fabric="tcp", size_bytes=4 * KIB, into="host"),
    controls=dict(read=["memcpy"]),
    timeout_s=120,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.6,
            disk_mb=80,
            counts=dict(fast=1_000, large=5),
            size_bytes=[64, 4 * KIB],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.6,
            disk_mb=80,
            counts=dict(fast=5_000, large=10),
            size_bytes=[64, 4 * KIB],
        ),
        full=Scale(blocks=8, trial_seconds=0.6, disk_mb=80, counts=dict(fast=20_000, large=50)),
    ),
)


@experiment.valid
def valid(cell):
    """Each level's name says whether its library emulates it; a GPU is there for one way each."""
    if cell.into != "host":
        fabric = "cma" if cell.into == "gpu-pinned" else "rc"
        return (cell.read, cell.fabric) == ("fi_read", fabric)
    if cell.read == "memcpy":
        return cell.fabric == "posix"
    return cell.read in (ucx.read_level("ucp_get", cell.fabric), fi_level(cell.fabric))


def fi_level(fabric):
    """Return the name of the level that reads through libfabric over a fabric."""
    return ucx.read_level("fi_read", fabric)


@experiment.needs
def needs(cell):
    if cell.read not in FI_PATHS:
        return _common.needs(cell.fabric)
    over = [
        name for name in _common.NEEDS[cell.fabric] if name != "verbs"
    ]  # UCX's, not libfabric's
    return ["cc", "libfabric", *over, *([] if cell.into == "host" else ["gpu"])]


@experiment.uses
def tools():
    return {**_common.tools(), "libfabric": libfabric.version()}


@experiment.build(needs=_common.BUILD_NEEDS)
def build(folder):
    store.build(folder / "store")
    if libfabric.HEADER.exists():
        fi_reads.build(folder / "fi_reads")


@experiment.trial
def trial(cell, site):
    reads = site.counts.large if cell.size_bytes >= MIB else site.counts.fast
    objects = max(16, min(WORKING_SET // cell.size_bytes, 1 << 16))
    observe = through_libfabric if cell.read in FI_PATHS else through_ucx
    yield observe(cell, site, objects, reads)


def through_ucx(cell, site, objects, reads):
    """Read by the object store's program; return the observation."""
    program = site.programs / "store"
    waiting = "sleep" if cell.read == "memcpy" else "poll"
    with store.Server(
        site.server, program, cell.fabric, cell.size_bytes, preload=objects, waiting=waiting
    ) as server:
        seen = store.measure(
            site.client,
            server,
            program,
            UCX_PATHS[cell.read],
            cell.size_bytes,
            objects,
            reads,
            warmup=min(100, reads),
            max_seconds=LONGEST_S,
            lease_s=10,
            seed=site.seed % 2**32,
        )
    if cell.read != "memcpy":
        ucx.check_emulation(cell.read, seen["protocol_used"])
    return {
        "latency_us": seen["samples_us"],
        "right_reads": seen["right"],
        "client_cpu_us_per_read": 1e6 * seen["cpu_client_s"] / seen["iterations_done"],
        "transport_used": seen["transport_used"],
        "protocol_used": seen["protocol_used"],
    }


def through_libfabric(cell, site, objects, reads):
    """Read by `fi_reads`; return the observation."""
    program = site.programs / "fi_reads"
    with fi_reads.Holder(site.server, program, cell.fabric, cell.size_bytes, objects) as holder:
        seen = fi_reads.measure(
            site.client, holder, program, reads, cell.into, site.seed, LONGEST_S
        )
    fi_reads.check_emulation(cell.read, seen)
    came, tries = seen["came_while_frozen"], seen["tries_while_frozen"]
    return {
        "latency_us": seen["samples_us"],
        "right_reads": seen["right"],
        "client_cpu_us_per_read": 1e6 * seen["cpu_s"] / seen["reads"],
        "came_while_frozen": came / tries,
        "transport_used": seen["provider"],
        "protocol_used": f"libfabric {seen['version']}; with the holder frozen, "
        f"{'all' if came else 'no'} reads came",
    }
