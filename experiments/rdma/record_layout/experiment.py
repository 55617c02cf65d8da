"""What does it cost to tell a whole record from a torn one, and which layouts do?"""

import json
import subprocess
from pathlib import Path

from benchpaper import Evidence, Experiment, Factor, Metric, Scale, probe
from experiments.rdma import fabric, store
from experiments.rdma.samples import fetch

KIB = 1024
SAMPLES = 5_000  # of the cost; a read takes a microsecond, and nothing else runs
LONGEST_S = 0.4

experiment = Experiment(
    title="Layouts of records that are read without a lock",
    question="What does it cost to tell a whole record from a torn one, and which layouts do?",
    factors=[
        Factor(
            "layout",
            ["none", "two-versions", "per-line", "crc64", "sums"],
            meaning="a version before and after (a seqlock), a version in each line (FaRM), "
            "a CRC-64 (Pilaf), or two versions and a sum of products (our store)",
        ),
        Factor("size_bytes", [64, 1 * KIB, 4 * KIB, 64 * KIB], unit="B", meaning="of the value"),
        Factor(
            "order",
            ["in-order", "shuffled"],
            meaning="in which lines of 64 B are read, each whole: an adapter promises no order",
        ),
        Factor("writer", ["none", "full speed"]),
    ],
    metrics=[
        Metric(
            "check_us",
            unit="µs",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="the check and the copy of the value, once its lines have arrived",
        ),
        Metric("reads", unit="count", better="neither", meaning="records that were read"),
        Metric(
            "torn",
            unit="count",
            better="neither",
            meaning="reads whose value was of no one version, by the value itself",
        ),
        Metric(
            "missed_share",
            unit="1",
            better="lower",
            optional=True,
            meaning="torn reads that the layout took for whole ones, over torn reads",
        ),
        Metric(
            "refused_share",
            unit="1",
            better="lower",
            meaning="whole values that the layout refused, over reads: they are read again",
        ),
        Metric("overhead_bytes", unit="B", better="lower", meaning="of a record beyond its value"),
    ],
    evidence=[Evidence("met", "whether reader and writer met: yes, no, or no writer")],
    twin=dict(layout="sums", size_bytes=4 * KIB, order="in-order", writer="none"),
    controls=dict(layout=["none"]),
    timeout_s=60,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.3,
            disk_mb=5,
            counts=dict(contended=100_000),
            size_bytes=[1 * KIB, 4 * KIB],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.3,
            disk_mb=5,
            counts=dict(contended=100_000),
            size_bytes=[1 * KIB, 4 * KIB],
        ),
        full=Scale(blocks=10, trial_seconds=0.4, disk_mb=20, counts=dict(contended=300_000)),
    ),
)


@experiment.valid
def valid(cell):
    # The cost does not depend on the order, and of a record of two lines little can be torn.
    if cell.writer == "none":
        return cell.order == "in-order"
    return cell.size_bytes > 64


@experiment.needs
def needs(cell):
    return ["cc"]


@experiment.uses
def tools():
    return {"cc": probe.compiler_version()}


@experiment.build(needs=["cc"])
def build(folder):
    compile_program(folder / "layouts")


def compile_program(output, extra_flags=()):
    """Compile the program to `output`, and return it."""
    mine, clocks = Path(__file__).parent, Path(fabric.__file__).parent
    sources = [*sorted(mine.glob("*.c")), clocks / "clock.c", store.FOLDER / "digest.c"]
    flags = ["-std=c11", "-O3", "-march=x86-64-v2", "-Wall", "-Wextra", "-Werror", *extra_flags]
    command = ["cc", *flags, "-I", clocks, *sources, "-lpthread", "-o", output]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cc could not compile {mine}: {done.stderr.strip()[:2000]}")
    return output


@experiment.trial
def trial(cell, site):
    host = site.client
    yield observed(host, host.provide(site.programs / "layouts"), cell, site.counts)


def observed(host, binary, cell, counts):
    """Run the program for a cell on `host`; return its observation."""
    samples, contended = host.scratch() / "samples.f64", cell.writer != "none"
    argv = [
        binary,
        cell.layout,
        cell.size_bytes,
        cell.order,
        "full-speed" if contended else "none",
        counts.contended if contended else SAMPLES,
        LONGEST_S,
        host.cpus[-1],
        host.cpus[0],
        samples,
    ]
    seen = json.loads(host.run(argv).stdout)
    torn = seen["torn_accepted"] + seen["torn_refused"]
    met = seen["right"] < seen["reads"]
    counted = seen["right"] + torn + seen["whole_refused"]
    assert counted == seen["reads"] > 0, f"{seen['reads']} reads, but {counted} outcomes"
    return {
        # Next to a writer, the check also waits for the writer's cache lines.
        "check_us": None if contended else fetch(host, samples) / 1e3,
        "reads": seen["reads"],
        "torn": torn,
        "missed_share": seen["torn_accepted"] / torn if torn else None,
        "refused_share": seen["whole_refused"] / seen["reads"],
        "overhead_bytes": seen["bytes"] - cell.size_bytes,
        "met": ("yes" if met else "no") if contended else "no writer",
    }
