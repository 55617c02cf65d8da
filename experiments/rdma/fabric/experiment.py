"""What does each transport cost before any storage code runs?"""

from pathlib import Path

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.rdma import _common
from experiments.rdma.fabric import cells, program, ucx_perftest
from experiments.rdma.fabric.cells import LOOP, PERFTEST, plain
from experiments.systems import soft_roce, ucx

KIB = 1024
WARM_UP = 10  # one untimed operation goes first for every ten sampled
SOFT_SAMPLES = 100  # an emulated machine is slow, and counts need no more

experiment = Experiment(
    title="Fabric latency and bandwidth",
    question="What does each transport cost before any storage code runs?",
    factors=[
        Factor(
            "transport",
            ["null", "posix", "sysv", "cma", "tcp", "rc", "dc", ucx.SOFT],
            meaning="how bytes move; null is the measuring loop around nothing; "
            "rc_soft_roce is rc over soft-RoCE in an emulated machine, for counts only",
            same_code={ucx.SOFT: "rc"},
        ),
        Factor(
            "operation",
            ["put", "get", "get-emulated", "message"],
            meaning="one-sided write, one-sided read, a read that UCX carries out by messages, "
            "active message",
        ),
        Factor("size_bytes", [8, 512, 4 * KIB, 32 * KIB, 256 * KIB, 4096 * KIB], unit="B"),
        Factor(
            "outstanding",
            [1, 4, 16, 64],
            meaning="operations in flight; 1 measures latency, more bandwidth",
        ),
        Factor("tool", [LOOP, PERFTEST], meaning="our measuring loop, or the independent control"),
    ],
    metrics=[
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="put and message with 1 outstanding: half a round trip; "
            "get: until the data has arrived; "
            "with more outstanding: from posting to local completion",
        ),
        Metric(
            "median_us",
            unit="µs",
            better="lower",
            optional=True,
            meaning="median latency: over all samples of fabric, "
            "over the last 2,048 of ucx_perftest",
        ),
        Metric(
            "bandwidth_gb_s",
            unit="GB/s",
            better="higher",
            optional=True,
            meaning="bytes over the time from first post "
            "to the remote acknowledgement of the last operation",
        ),
        Metric(
            "cpu_seconds_per_gb",
            unit="s/GB",
            better="lower",
            optional=True,
            meaning="CPU time of both sides while measuring; both poll",
        ),
        Metric(
            "timer_overhead_ns",
            unit="ns",
            better="lower",
            optional=True,
            meaning="cost of reading the clock once",
        ),
        Metric(
            "operations",
            unit="count",
            better="neither",
            optional=True,
            emulation=True,
            meaning="operations that were sampled",
        ),
        Metric(
            "verified",
            unit="count",
            better="higher",
            optional=True,
            emulation=True,
            meaning="operations whose content was checked, and was right: "
            "each with 1 outstanding, and the last, or each message, with more",
        ),
        Metric(
            "packets",
            unit="count",
            better="lower",
            optional=True,
            emulation=True,
            meaning="packets that both soft-RoCE devices sent, from before connecting to the end",
        ),
        Metric(
            "repeated_requests",
            unit="count",
            better="lower",
            optional=True,
            emulation=True,
            meaning="requests that a soft-RoCE device received again",
        ),
    ],
    evidence=[
        Evidence("span", "what a latency spans"),
        Evidence("transport_used", "the transport that UCX chose for this operation and size"),
        Evidence("protocol_used", "how UCX does the operation, in its own words"),
    ],
    roles=("server", "client"),
    twin=dict(transport="tcp", operation="message", size_bytes=4 * KIB, outstanding=1, tool=LOOP),
    timeout_s=120,  # an emulated machine is slow
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.15,
            disk_mb=2,
            counts=dict(small=1_000, large=200, huge=20),
            size_bytes=[8, 4 * KIB],
            outstanding=[1, 16],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.15,
            disk_mb=5,
            counts=dict(small=4_000, large=1_000, huge=100),
            size_bytes=[8, 4 * KIB, 256 * KIB],
            outstanding=[1, 16],
        ),
        full=Scale(
            blocks=15,
            trial_seconds=0.3,
            disk_mb=50,
            counts=dict(small=20_000, large=4_000, huge=300),
        ),
    ),
)


experiment.valid(cells.valid)


@experiment.needs
def needs(cell):
    return _common.needs(cell.transport)


experiment.uses(_common.tools)


@experiment.build(needs=_common.BUILD_NEEDS)
def build(folder):
    ucx.build(Path(__file__).parent, folder / "fabric")
    ucx_perftest.build_bind_to(folder / "bind_to.so")


@experiment.trial
def trial(cell, site):
    samples = sample_count(cell, site.counts)
    if cell.tool == PERFTEST:
        yield control(cell, site, samples)
    elif cell.transport == "null":
        yield floor(cell, site, samples)
    else:
        yield measurement(cell, site, samples)


def sample_count(cell, counts):
    """Return the number of samples: fewer for large operations.

    Those take a hundred to ten thousand times as long.
    """
    if cell.transport == ucx.SOFT:
        return SOFT_SAMPLES
    if cell.size_bytes < 64 * KIB:
        return counts.small
    return counts.large if cell.size_bytes < 1024 * KIB else counts.huge


def measurement(cell, site, samples):
    """Measure one cell with our own loop; return its observation."""
    binary = site.programs / "fabric"
    before = sent(cell, site)
    with program.Responder(site.server, binary, cell.transport) as responder:
        result = program.measure(
            site.client,
            responder,
            binary,
            cell.transport,
            plain(cell.operation),
            cell.size_bytes,
            cell.outstanding,
            samples,
            samples // WARM_UP,
        )
    if plain(cell.operation) == "get":
        ucx.check_emulation(cell.operation, result["protocol_used"])
    gigabytes = result["bytes_moved"] / 1e9
    after = sent(cell, site)
    return {
        "operations": result["iterations_done"],
        "verified": max(result[side]["verified"] for side in ("client", "server")),
        **{name: after[name] - before[name] for name in after},
        "latency_us": result["samples_us"],
        "median_us": middle(result["samples_us"]),
        "bandwidth_gb_s": gigabytes / result["elapsed_s"],
        "cpu_seconds_per_gb": (result["cpu_client_s"] + result["cpu_server_s"]) / gigabytes,
        "timer_overhead_ns": result["timer_overhead_ns"],
        "span": result["span"],
        "transport_used": result["transport_used"],
        "protocol_used": result["protocol_used"],
    }


def sent(cell, site):
    """Return what the soft-RoCE devices of both sides have counted so far; {} without them."""
    if cell.transport != ucx.SOFT:
        return {}
    seen = []
    for host in (site.server, site.client):
        soft_roce.device(host)
        seen.append(soft_roce.counters(host))
    return {
        "packets": sum(counters[soft_roce.SENT] for counters in seen),
        "repeated_requests": sum(counters[soft_roce.REPEATED] for counters in seen),
    }


def floor(cell, site, samples):
    """Run our loop around nothing; return its observation."""
    result = program.null(
        site.client, site.programs / "fabric", cell.outstanding, samples, samples // WARM_UP
    )
    return {
        "latency_us": result["samples_us"],
        "median_us": middle(result["samples_us"]),
        "timer_overhead_ns": result["timer_overhead_ns"],
        "span": "one iteration of the loop",
        "transport_used": "none",
        "protocol_used": "none",
    }


def control(cell, site, samples):
    """Measure one cell with `ucx_perftest`; return its observation."""
    result = ucx_perftest.perftest(
        site.server,
        site.client,
        site.programs / "bind_to.so",
        cell.transport,
        plain(cell.operation),
        cell.size_bytes,
        cell.outstanding,
        samples,
        samples // WARM_UP,
    )
    return {
        "median_us": result["median_us"],
        "bandwidth_gb_s": result["bandwidth_mb_s"] / 1e3,
        "span": "as ucx_perftest defines it",
        "transport_used": "not reported",
        "protocol_used": "not reported",
    }


def middle(samples):
    """Return the lower median, as for every quantile of the results."""
    ordered = sorted(samples)
    return float(ordered[(len(ordered) - 1) // 2])
