"""What is lost, doubled or late when a part of the pipeline from a topic to Parquet fails?"""

import dataclasses
import json
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from benchpaper import Evidence, Experiment, Factor, Host, HostError, Metric, Scale
from experiments.streaming import pipelines, topic, workload
from experiments.streaming.pipeline import experiment as healthy
from experiments.systems import s3, server

NONE, CONSUMER, BROKER, REBALANCE = "none", "consumer killed", "broker killed", "rebalance"
REFUSES, SLOW = "sink refuses", "sink slow"
TWICE, POISON, SKEW = "sent twice", "poison message", "clock skew"
PROMISES = {"most": "at most once", "least": "at least once", "exactly": "exactly once"}
HARMFUL: dict[str, dict[str, Any]] = {
    TWICE: dict(twice_every=100),
    POISON: dict(poison_every=100),
    SKEW: dict(ahead_every=2000),
}
REFUSED_S, SLOW_MS = 2.0, 250
RESTARTS = 5  # of a pipeline that ended by itself

experiment = Experiment(
    title="Delivery when something fails",
    question="What is lost, doubled or late when a part of the pipeline fails?",
    factors=[
        Factor("engine", ["loop", "rxjava", "pekko", "flink"]),
        Factor(
            "delivery",
            list(PROMISES),
            meaning="when offsets are committed and how objects are named: for at most, at least, "
            "and exactly once",
        ),
        Factor(
            "fault",
            [NONE, CONSUMER, BROKER, REBALANCE, REFUSES, SLOW, TWICE, POISON, SKEW],
            meaning="killed: by SIGKILL, then started again; rebalance: a second member joins the "
            "group; refuses: no connection to S3 for 2 s; slow: 250 ms each way; sent twice, "
            "poison: each hundredth event; skew: a clock is 3 s ahead for each 2,000th event",
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
        Metric(
            "starts", unit="count", better="lower", meaning="processes of the pipeline, in order"
        ),
    ],
    evidence=[Evidence("promise", "what the setting is documented to give")],
    roles=("client", "server"),
    packages=healthy.experiment.packages,
    twin=dict(engine="loop", delivery="exactly", fault=CONSUMER),
    timeout_s=180,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=15,
            counts=dict(rate=1_000, seconds=4),
            engine=["loop"],
            delivery=["exactly"],
            fault=[NONE, CONSUMER],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=15,
            counts=dict(rate=2_000, seconds=3),
            engine=["loop"],
            delivery=["exactly"],
            fault=[CONSUMER],
        ),
        full=Scale(blocks=5, trial_seconds=12, counts=dict(rate=5_000, seconds=4)),
    ),
)


@experiment.valid
def valid(cell):
    if cell.fault not in (CONSUMER, REBALANCE):
        return cell.delivery == "exactly"
    # Flink assigns partitions by itself: no member of the group joins. Restored from a checkpoint
    # after a kill, its bounded Kafka source read all events and never ended, in 2 tries of 2.
    return cell.engine != "flink"


experiment.needs(lambda cell: topic.NEEDS)
experiment.build(needs=pipelines.NEEDS)(pipelines.build)
experiment.uses(healthy.tools)


@experiment.trial
def trial(cell, site):
    with topic.servers(site) as (broker, store):
        yield measured(cell, site, broker, store)


def measured(cell, site, broker, store):
    """Return the values of one cell, with a broker and a store that run."""
    counts = site.counts
    load = workload.Workload(
        counts.rate * counts.seconds,
        counts.rate,
        late_every=200,
        late_ms=3000,
        **HARMFUL.get(cell.fault, {}),
    )
    filled = topic.Topic.create(site, broker, load)
    with ExitStack() as stack:
        endpoint, proxy = store.endpoint, None
        if cell.fault in (REFUSES, SLOW):
            proxy = stack.enter_context(
                Proxy(site.client, store.endpoint, SLOW_MS if cell.fault == SLOW else 0)
            )
            endpoint = proxy.endpoint
        run = topic.Run.new(filled, endpoint, cell.engine, cell.delivery, restarts="fixed-delay")
        pipeline = stack.enter_context(Supervised(run))
        # The fault comes when a window was written and others are open: the rest is sent after it.
        half = load.events // 2
        with filled.sending(pace=True, events=half) as producer:
            base = json.loads(producer.read_line(60))["base"]
            topic.finished(producer, "Produce", 120)
        pipeline.wait_for_output()
        with filled.sending(base, pace=True, first=half) as producer:
            harm(cell.fault, broker, pipeline, proxy, stack)
            topic.finished(producer, "Produce", 120)
        pipeline.finish(120)
        rows = dataclasses.replace(run, endpoint=store.endpoint).rows()
    outcome = workload.outcome(load.frame(base), rows)
    return dict(
        lost=float(outcome.lost),
        duplicated=float(outcome.duplicated),
        late=float(outcome.late),
        wrong=float(outcome.wrong_late + outcome.altered),
        off=float(outcome.lost + outcome.duplicated + outcome.wrong_late + outcome.altered),
        starts=float(pipeline.starts),
        promise=PROMISES[cell.delivery],
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

    def wait_for_output(self, patience_s=100.0):
        """Return once the process has written a window. Raises `CommandFailed` if it ended."""
        end = time.monotonic() + patience_s
        while not any("written" in line for line in topic.lines(self._process)):
            if self._process.poll() is not None:
                topic.finished(self._process, self.run.engine, 1)
            if time.monotonic() > end:
                raise HostError(f"{self.run.engine} wrote no window within {patience_s:g} s")
            time.sleep(0.1)

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


class Proxy:
    """What carries the connections between a pipeline and its S3 server; a context manager."""

    def __init__(self, host: Host, endpoint: s3.Endpoint, delay_ms: float):
        self._host, self._delay_ms, self._target = host, delay_ms, endpoint
        self._port = host.free_port()
        self.endpoint = dataclasses.replace(endpoint, url=f"http://{host.address}:{self._port}")

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_):
        self._process.stop()

    @contextmanager
    def refusing(self):
        """Break all connections and refuse others, while the context lasts."""
        self._process.stop()
        yield
        self._start()

    def _start(self):
        host, _, port = self._target.url.removeprefix("http://").rpartition(":")
        plan = dict(
            address=self._host.address,
            port=self._port,
            to=[host, int(port)],
            delay_ms=self._delay_ms,
        )
        words = ["-m", "experiments.systems.environment.delay_proxy", json.dumps(plan)]
        self._process = self._host.start([self._host.python, *words])
        server.wait("the proxy", self._process, self._connects, server.PATIENCE_S)

    def _connects(self):
        socket.create_connection((self._host.address, self._port), timeout=1).close()
