"""How does the rate of one job grow with its workers, and what does a lost worker leave?"""

import random
from contextlib import ExitStack

from benchpaper import Experiment, Factor, HostError, Metric, Scale
from experiments.streaming import pipelines, topic, workload
from experiments.streaming.pipeline import experiment as healthy
from experiments.streaming.proxy import Proxy
from experiments.systems import flink

PROCESSOR, WAITING = "processor", "waiting"
WHOLE, RESTARTED, RESUBMITTED = "whole", "restarted", "resubmitted"
WORKERS = [1, 2, 4]
CLIENTS = ("client", "client2", "client3", "client4")  # the hosts of the workers
DELAY_MS = 5  # to the store, each way
WINDOWS = 20
PATIENCE_S = 240  # of a job, on a machine that does much else
SUBMISSIONS = 5  # of a job that was lost with its worker, at most

experiment = Experiment(
    title="Scale-out of one job",
    question="How does the rate of one job grow with its workers, and what does a lost worker "
    "leave?",
    factors=[
        Factor(
            "engine",
            ["flink"],
            meaning="a standalone cluster: a JobManager, and four TaskManagers of one slot, on as "
            "many hosts as the site has",
        )
    ],
    within=[
        Factor(
            "stage",
            [PROCESSOR, WAITING],
            meaning="what the job does for each event: steps of work, or a request to a store that "
            "is 5 ms away, each way",
        ),
        Factor("workers", WORKERS, meaning="TaskManagers that the job runs in"),
        Factor(
            "course",
            [WHOLE, RESTARTED, RESUBMITTED],
            meaning="nothing fails; a TaskManager is killed by SIGKILL and replaced, and Flink "
            "restarts the job; so, and the job is submitted again, from its last checkpoint",
        ),
    ],
    metrics=[
        Metric(
            "events_per_s",
            unit="1/s",
            better="higher",
            optional=True,
            meaning="single events, from the first in the stage to the last",
        ),
        Metric(
            "off",
            unit="count",
            better="lower",
            meaning="events lost or counted twice, and what is wrong, together",
        ),
        Metric("job_s", unit="s", better="lower", meaning="of Flink's last run of the job"),
        Metric(
            "kept_share",
            unit="%",
            better="higher",
            optional=True,
            meaning="events that the last run did not have to read again, thanks to a checkpoint",
        ),
        Metric("submissions", unit="count", better="lower", meaning="of the job by the client"),
        Metric(
            "worker_hosts", unit="count", better="neither", meaning="that the TaskManagers ran on"
        ),
    ],
    roles=("server", *CLIENTS),
    packages=healthy.experiment.packages,
    timeout_s=600,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=60,
            counts=dict(steps=20_000, processed=2_000, waited=80, lost=800),
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=45,
            counts=dict(steps=40_000, processed=5_000, waited=100, lost=800),
        ),
        full=Scale(
            blocks=8,
            trial_seconds=55,
            counts=dict(steps=80_000, processed=20_000, waited=300, lost=1_200),
        ),
    ),
)

experiment.needs(lambda cell: topic.NEEDS)
experiment.build(needs=pipelines.NEEDS)(pipelines.build)
experiment.uses(healthy.tools)


@experiment.trial
def trial(cell, site):
    hosts = [getattr(site, role) for role in CLIENTS]
    check_shared(site.server, hosts)
    runtimes = [
        (host, *pipelines.runtime(host, site.programs, cell.engine))
        for host in [site.server, *hosts]
    ]
    with (
        topic.servers(site) as (broker, store),
        Proxy(site.client, store.endpoint, DELAY_MS) as proxy,
        flink.Cluster(runtimes) as cluster,
    ):
        addresses = {host.address for host in hosts}
        for values in measured(site, broker, proxy, cluster):
            yield dict(worker_hosts=float(len(addresses)), **values)


def check_shared(manager, hosts):
    """Raise `HostError` unless all hosts see one folder: a job's checkpoints need it."""
    folder = hosts[0].scratch()
    for host in [manager, *hosts]:
        if host.run(["test", "-d", folder], check=False).returncode:
            raise HostError(
                f"the hosts at {hosts[0].address} and {host.address} share no folder, and a job's "
                'checkpoints need it; set "scratch" of both to a shared file system in the site\'s '
                "file"
            )


def measured(site, broker, proxy, cluster):
    """Yield the values of each stage, number of workers, and course."""
    counts = site.counts
    order = random.Random(site.seed).sample(WORKERS, len(WORKERS))
    for stage, steps, events in (
        (PROCESSOR, counts.steps, counts.processed),
        (WAITING, 0, counts.waited),
    ):
        filled = filled_topic(site, broker, events)
        for workers in order:
            run = job(filled, proxy, cluster, steps, workers)
            yield dict(stage=stage, workers=workers, course=WHOLE, **whole(run))
    filled = filled_topic(site, broker, counts.lost)
    for number, course in enumerate((RESTARTED, RESUBMITTED)):
        restarts = "fixed-delay" if course == RESTARTED else "none"
        run = job(filled, proxy, cluster, 0, WORKERS[-1], restarts)
        values = worker_lost(run, cluster, number)
        yield dict(stage=WAITING, workers=WORKERS[-1], course=course, **values)


def filled_topic(site, broker, events):
    load = workload.Workload(events, events / WINDOWS, late_every=50)
    filled = topic.Topic.create(site, broker, load)
    filled.send(healthy.BASE)
    return filled


def job(filled, proxy, cluster, steps, workers, restarts="none"):
    """Return a run of the pipeline's job graph in the cluster."""
    return topic.Run.new(
        filled,
        proxy.endpoint,
        "flink",
        parallelism=workers,
        restarts=restarts,
        cluster=cluster.endpoint,
        stage=steps,
    )


def whole(run):
    """Run a job to its end. Raises `WrongAnswer` unless each event was counted once."""
    with run.start() as process:
        said = topic.finished(process, run.engine, PATIENCE_S)
    healthy.check(run, healthy.BASE)
    staged = staged_by(said)
    rate = staged["staged"] / max(staged["stage_s"], 1e-3)
    return dict(events_per_s=rate, off=0.0, job_s=staged["net_s"], submissions=1.0)


def worker_lost(run, cluster, number):
    """Run a job, kill a worker of it once a checkpoint has made rows visible, and let it end."""
    submissions = 1
    with ExitStack() as stack:
        process = stack.enter_context(run.start())
        topic.wait_for(process, run.engine, "visible row", lambda: len(run.rows()), PATIENCE_S)
        cluster.lose_worker(number)
        cluster.replace_worker(number)
        while process.wait(PATIENCE_S) and run.restarts == "none" and submissions < SUBMISSIONS:
            cluster.wait_for_workers()
            process = stack.enter_context(run.start())
            submissions += 1
        said = topic.finished(process, run.engine, PATIENCE_S)
    cluster.wait_for_workers()
    staged, load = staged_by(said), run.topic.load
    if (run.restarts == "none" and submissions == 1) or staged["staged"] == load.events:
        raise RuntimeError("the job ended before its worker was lost")
    outcome = workload.outcome(load.frame(healthy.BASE), run.rows())
    return dict(
        off=float(outcome.off),
        job_s=staged["net_s"],
        kept_share=100 * (1 - staged["staged"] / load.events),
        submissions=float(submissions),
    )


def staged_by(said):
    return next(line for line in reversed(said) if "staged" in line)
