"""What is lost, doubled or late when a part of the pipeline from a topic to Parquet fails?"""

import dataclasses
import json
import time
from contextlib import ExitStack
from typing import Any

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.streaming import pipelines, topic, workload
from experiments.streaming.pipeline import experiment as healthy
from experiments.streaming.proxy import Proxy

NONE, CONSUMER, BROKER, REBALANCE = "none", "consumer killed", "broker killed", "rebalance"
REFUSES, SLOW, BAD = "sink refuses", "sink slow", "bad messages"
PROMISES = {"most": "at most once", "least": "at least once", "exactly": "exactly once"}
BAD_MESSAGES: dict[str, Any] = dict(twice_every=100, poison_every=100, ahead_every=2000)
REFUSED_S, SLOW_MS = 2.0, 250
RESTARTS = 5  # of a pipeline that ended by itself
# (delivery, fault), in the order of a trial: `site.counts.cases` says how many.
CASES = [
    ("exactly", CONSUMER),
    ("least", CONSUMER),
    ("most", CONSUMER),
    *(("exactly", fault) for fault in (REBALANCE, BROKER, REFUSES, SLOW, BAD, NONE)),
    ("least", REBALANCE),
    ("most", REBALANCE),
]

experiment = Experiment(
    title="Delivery when something fails",
    question="What is lost, doubled or late when a part of the pipeline fails?",
    factors=[Factor("engine", ["loop", "rxjava", "pekko", "flink"])],
    within=[
        Factor(
            "delivery",
            list(PROMISES),
            meaning="when offsets are committed and how objects are named: for at most, at least, "
            "and exactly once",
        ),
        Factor(
            "fault",
            [NONE, CONSUMER, BROKER, REBALANCE, REFUSES, SLOW, BAD],
            meaning="killed: by SIGKILL, then started again; rebalance: a second member joins the "
            "group; refuses: no connection to S3 for 2 s; slow: 250 ms each way; bad messages: "
            "each hundredth event is sent twice, each hundredth is poison, and for each 2,000th "
            "the clock is 3 s ahead",
        ),
    ],
    metrics=[
        Metric("lost", unit="count", better="lower", meaning="events that no window counts"),
        Metric("duplicated", unit="count", better="lower", meaning="events counted once too often"),
        Metric("late", unit="count", better="neither", meaning="events written apart as late"),
        Metric(
            "wrong",
            unit="count",
            better="lower",
            meaning="events called late that were in time, and windows with another sum",
        ),
        Metric(
            "off",
            unit="count",
            better="lower",
            meaning="events lost or duplicated, and what is wrong, together",
        ),
        Metric("sent_twice", unit="count", better="neither", meaning="events that came twice"),
        Metric(
            "starts", unit="count", better="lower", meaning="processes of the pipeline, in order"
        ),
    ],
    evidence=[Evidence("promise", "what the setting is documented to give")],
    roles=("client", "server"),
    packages=healthy.experiment.packages,
    timeout_s=600,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=40,
            counts=dict(rate=1_000, seconds=4, cases=2),
            engine=["loop"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=40,
            counts=dict(rate=2_000, seconds=3, cases=3),
            engine=["loop"],
        ),
        full=Scale(blocks=8, trial_seconds=60, counts=dict(rate=5_000, seconds=3, cases=9)),
    ),
)


def cases(engine, count):
    """Return the first `count` of the cases that make sense for an engine."""
    # Flink assigns partitions by itself: no member of the group joins.
    able = [case for case in CASES if engine != "flink" or case[1] != REBALANCE]
    return able[:count]


experiment.needs(lambda cell: topic.NEEDS)
experiment.build(needs=pipelines.NEEDS)(pipelines.build)
experiment.uses(healthy.tools)


@experiment.trial
def trial(cell, site):
    with topic.servers(site) as (broker, store):
        for delivery, fault in cases(cell.engine, site.counts.cases):
            values = measured(cell.engine, delivery, fault, site, broker, store)
            yield dict(delivery=delivery, fault=fault, **values)


def measured(engine, delivery, fault, site, broker, store):
    """Return the values of one case, with a broker and a store that run."""
    counts = site.counts
    load = workload.Workload(
        counts.rate * counts.seconds,
        counts.rate,
        late_every=200,
        late_ms=3000,
        window_ms=500,
        **(BAD_MESSAGES if fault == BAD else {}),
    )
    filled = topic.Topic.create(site, broker, load)
    with ExitStack() as stack:
        endpoint, proxy = store.endpoint, None
        if fault in (REFUSES, SLOW):
            proxy = stack.enter_context(
                Proxy(site.client, store.endpoint, SLOW_MS if fault == SLOW else 0)
            )
            endpoint = proxy.endpoint
        run = topic.Run.new(filled, endpoint, engine, delivery, restarts="fixed-delay")
        pipeline = stack.enter_context(Supervised(run))
        # The fault comes when a window was written and others are open: the rest is sent after it.
        half = load.events // 2
        with filled.sending(pace=True, events=half) as producer:
            base = json.loads(producer.read_line(60))["base"]
            topic.finished(producer, "Produce", 120)
        pipeline.wait_for_output()
        with filled.sending(base, pace=True, first=half) as producer:
            harm(fault, broker, pipeline, proxy, stack)
            topic.finished(producer, "Produce", 120)
        pipeline.finish(120)
        rows = dataclasses.replace(run, endpoint=store.endpoint).rows()
    events = load.frame(base)
    outcome = workload.outcome(events, rows)
    return dict(
        lost=float(outcome.lost),
        duplicated=float(outcome.duplicated),
        late=float(outcome.late),
        wrong=float(outcome.wrong_late + outcome.altered),
        off=float(outcome.off),
        sent_twice=float(events["again"].sum()),
        starts=float(pipeline.starts),
        promise=PROMISES[delivery],
    )


def harm(fault, broker, pipeline, proxy, stack):
    """Let the fault happen, once, and end."""
    if fault == CONSUMER:
        pipeline.kill()
    elif fault == BROKER:
        broker.kill()
        broker.restart()
    elif fault == REBALANCE:
        pipeline.others.append(stack.enter_context(pipeline.run.start()))
    elif fault == REFUSES:
        with proxy.refusing():
            time.sleep(REFUSED_S)


class Supervised:
    """A pipeline that is started again when it ends with an error, as a context manager."""

    def __init__(self, run):
        self.run, self.starts, self.others = run, 0, []

    def __enter__(self):
        self._start()
        return self

    def __exit__(self, *_):
        self._process.stop()

    def _start(self):
        self.starts += 1
        self._process = self.run.start()

    def wait_for_output(self):
        """Return once the process has written a window. Raises `CommandFailed` if it ended."""
        topic.wait_for(
            self._process,
            self.run.engine,
            "written window",
            lambda: any("written" in line for line in topic.lines(self._process)),
        )

    def kill(self):
        """End the process at once, and start it again."""
        self.run.topic.site.client.run(["kill", "-9", self._process.pid])
        self._process.wait(20)
        self._start()

    def finish(self, timeout):
        """Return once it has ended without an error. Raises `CommandFailed` after `RESTARTS`."""
        while self._process.wait(timeout) and self.starts <= RESTARTS:
            self._start()
        for process in [self._process, *self.others]:
            topic.finished(process, self.run.engine, timeout)
