"""What do more workers of a Flink cluster bring, and does its output survive the loss of one?"""

import time

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.streaming import maven, pipelines, topic, workload
from experiments.streaming.delivery import experiment as delivery
from experiments.streaming.pipeline import experiment as healthy
from experiments.systems import flink

CPU, LOOKUP = "cpu", "lookup"
NONE, LOST = "none", "worker lost"
STEPS = 20_000  # of a generator, for an event of the CPU-bound stage
DELAY_MS = 5

experiment = Experiment(
    title="More workers",
    question="What do more workers of a Flink cluster bring, and does its output survive the loss "
    "of one?",
    factors=[
        Factor("workers", [1, 2, 4], meaning="TaskManager processes of one slot each"),
        Factor(
            "stage",
            [CPU, LOOKUP],
            meaning="before the windows, an event costs 20,000 steps of a generator, or waits for "
            "one request to S3, 5 ms away each way",
        ),
        Factor(
            "fault",
            [NONE, LOST],
            meaning="lost: a TaskManager is killed midway, and another started; Flink starts "
            "the job again from its last checkpoint",
        ),
    ],
    metrics=[
        Metric(
            "events_s", unit="1/s", better="higher", meaning="single events a second, of the job"
        ),
        Metric("off", unit="count", better="lower", meaning="events lost, duplicated, or wrong"),
        Metric("elapsed_s", unit="s", better="lower", meaning="running time of the job"),
    ],
    evidence=[Evidence("cluster", "what ran the job")],
    roles=("client", "server"),
    packages=healthy.experiment.packages,
    twin=dict(workers=2, stage=LOOKUP, fault=NONE),
    timeout_s=240,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=25,
            counts=dict(events=400),
            workers=[1],
            stage=[LOOKUP],
            fault=[NONE],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=25,
            counts=dict(events=500),
            workers=[1, 2],
            stage=[LOOKUP],
            fault=[NONE],
        ),
        full=Scale(blocks=5, trial_seconds=35, counts=dict(events=2_000)),
    ),
)


@experiment.valid
def valid(cell):
    return cell.fault == NONE or (cell.workers == 2 and cell.stage == LOOKUP)


experiment.needs(lambda cell: [*topic.NEEDS, *flink.NEEDS])
experiment.build(needs=pipelines.NEEDS)(pipelines.build)
experiment.uses(healthy.tools)


@experiment.trial
def trial(cell, site):
    with topic.servers(site) as (broker, store):
        yield measured(cell, site, broker, store)


def measured(cell, site, broker, store):
    """Return the values of one cell, with a broker and a store that run."""
    events = site.counts.events * (10 if cell.stage == CPU else 1)
    load = workload.Workload(events, events / 4, late_every=100)
    filled = topic.Topic.create(site, broker, load)
    filled.send(healthy.BASE)
    java, classpath = pipelines.runtime(site.server, site.programs, "flink")
    with (
        delivery.Proxy(site.server, store.endpoint, DELAY_MS) as proxy,
        flink.Cluster(site.server, java, classpath, cell.workers) as cluster,
    ):
        run = topic.Run.new(
            filled,
            store.endpoint,
            "flink",
            parallelism=cell.workers,
            restarts="fixed-delay",
            master=cluster.endpoint,
            steps=STEPS if cell.stage == CPU else 0,
            lookup=proxy.endpoint.url if cell.stage == LOOKUP else "",
        )
        with run.start() as process:
            if cell.fault == LOST:
                wait_for_output(run, process)
                cluster.kill_worker()
                cluster.add()
            said = topic.finished(process, "flink", 200)
    found = workload.outcome(load.frame(healthy.BASE), run.rows())
    if not found.exact:
        raise pipelines.WrongAnswer(f"{found}")
    seconds = next(line["net_s"] for line in said if "net_s" in line)
    return dict(
        events_s=events / seconds,
        elapsed_s=seconds,
        off=0.0,
        cluster=f"Flink {maven.version('flink')}, {cell.workers} TaskManagers",
    )


def wait_for_output(run, process, patience_s=60):
    """Return once the job has written something. Raises `RuntimeError` if it ended before."""
    end = time.monotonic() + patience_s
    while not len(run.rows()):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the job wrote nothing before a worker could be killed")
        time.sleep(0.1)
