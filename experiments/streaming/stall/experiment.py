"""How far behind the events is each engine's output, and how long after a stall of ten seconds?"""

import json
import time

import numpy as np

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.streaming import brokers, in_python, pipelines, topic, workload
from experiments.streaming.pipeline import experiment as drained

OUTPUT_S = 60
SLOW = {"spark": 6}  # start that many times as slowly as the others
CALM = 2.0  # a pipeline has caught up when windows take at most so many times the usual latency

experiment = Experiment(
    title="Latency from event time, and a stall",
    question="How far behind the events is each engine's output, and how long after a stall?",
    factors=[
        Factor(
            "engine",
            [*topic.ENGINES, *drained.PYTHON],
            meaning="loop and python are plain loops, on the JVM and in Python",
        )
    ],
    metrics=[
        Metric(
            "latency_ms",
            unit="ms",
            better="lower",
            kept="all samples",
            meaning="before the stall, from the time of the newest event of a window to the end of "
            "its write, the watermark's delay included; of Spark, from that of a micro-batch",
        ),
        Metric(
            "recovered_s",
            unit="s",
            better="lower",
            meaning="from the end of a stall until windows take at most twice their latency before",
        ),
        Metric(
            "waiting_events",
            unit="count",
            better="lower",
            meaning="events sent and not in a written window at the end of a stall",
        ),
        Metric("cpu_s_per_million", unit="s", better="lower", meaning="of the pipeline's process"),
        Metric("peak_mib", unit="MiB", better="lower", meaning="resident memory at most"),
    ],
    evidence=[Evidence("through", "the broker and its version")],
    roles=("client", "server"),
    packages=drained.experiment.packages,
    twin=dict(engine="loop"),
    timeout_s=180,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=13,
            counts=dict(rate=1_000, start_s=2, calm_s=2, stall_s=1, after_s=1),
            engine=["loop"],
        ),
        quick=Scale(
            blocks=2,
            trial_seconds=16,
            counts=dict(rate=2_000, start_s=2, calm_s=3, stall_s=2, after_s=2),
            engine=["loop"],
        ),
        full=Scale(
            blocks=2,
            trial_seconds=25,
            counts=dict(rate=10_000, start_s=2, calm_s=4, stall_s=10, after_s=3),
        ),
    ),
)


@experiment.needs
def needs(cell):
    return [*topic.NEEDS, *in_python.ENGINES.get(cell.engine, [])]


experiment.build(needs=pipelines.NEEDS)(pipelines.build)
experiment.uses(drained.tools)


@experiment.trial
def trial(cell, site):
    with topic.servers(site) as (broker, store):
        yield measured(cell, site, broker, store)


def measured(cell, site, broker, store):
    """Send at a rate; let the pipeline start and run, stop it for a while, and let it catch up."""
    counts = site.counts
    start_s = counts.start_s * SLOW.get(cell.engine, 1)
    seconds = start_s + counts.calm_s + counts.stall_s + counts.after_s
    load = workload.Workload(counts.rate * seconds, counts.rate)
    run = topic.Run.new(topic.Topic.create(site, broker, load), store.endpoint, cell.engine)
    client = site.client
    with run.start() as process, run.topic.sending(pace=True) as producer:
        base = json.loads(producer.read_line(60))["base"]
        time.sleep(max(0, base / 1e3 + start_s - time.time()))
        wait_for_output(process)
        time.sleep(counts.calm_s)
        if any("done" in line for line in topic.lines(process)):
            raise RuntimeError("all events had passed before the stall; the start took too long")
        signal(client, "STOP", process.pid)
        time.sleep(counts.stall_s)
        sent = min(load.events, (time.time() - base / 1e3) * counts.rate)
        waiting = sent - written_by(run, process)
        signal(client, "CONT", process.pid)
        resumed = time.time() * 1e3
        topic.finished(producer, "Produce", 120)
        said = topic.finished(process, run.engine, 120)
    drained.check(run, base)
    samples = latencies(said, base + 1e3 * start_s)
    costs = drained.costs(said[-1])
    costs.pop("events_k_s")  # it is the rate of sending
    return dict(
        latency_ms=[latency for at, latency in samples if at < resumed],
        recovered_s=recovered(samples, resumed),
        waiting_events=waiting,
        through=brokers.name(brokers.KAFKA),
        **costs,
    )


def wait_for_output(process):
    """Return once a window was written. Raises `RuntimeError` if none is within `OUTPUT_S`."""
    end = time.monotonic() + OUTPUT_S
    while not any("written" in line for line in topic.lines(process)):
        if time.monotonic() > end:
            raise RuntimeError(f"no window was written within {OUTPUT_S} s")
        time.sleep(0.05)


def signal(client, name, pid):
    """Signal a process and its children: Spark's work is done by one."""
    children = client.run(["pgrep", "-P", pid], check=False).stdout.split()
    client.run(["kill", f"-{name}", pid, *children])


def written_by(run, process):
    """Return the number of events in the windows that were written so far."""
    if not topic.lines(process):
        return 0.0
    rows = run.rows()
    return float((workload.latest(rows) if run.engine == "spark" else rows)["count"].sum())


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
