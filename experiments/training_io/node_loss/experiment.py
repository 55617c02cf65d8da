"""How long until a loader stands where it stood after it lost a host, and what is read anew?"""

import json

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.systems import packages
from experiments.training_io import backends
from experiments.training_io.data import samples
from experiments.training_io.loops import node_loss

NAME, COUNT, SAMPLE_BYTES = "data", 1024, 4096
HOSTS, BATCH, SAVE_EVERY, LIMIT_S = 4, 8, 8, 1.0
# A silent host differs from a killed one only in how long it takes to notice.
TRIES = [*(["killed", policy] for policy in node_loss.POLICIES), ["silent", "replace"]]

experiment = Experiment(
    title="A lost host",
    question="How long until a loader stands where it stood after it lost a host, and which "
    "samples are read twice or never?",
    factors=[
        Factor(
            "backend",
            ["null", "nfs41", "s3-rclone"],
            meaning="1,024 samples of 4 KiB in one file or object; null is memory",
        )
    ],
    within=[
        Factor(
            "failure",
            list(node_loss.FAILURES),
            meaning="of one of four hosts, in mid-epoch: its connection closes, or it says nothing "
            "and is given up after 1 s. A host is a process with connections of its own",
        ),
        Factor(
            "policy",
            list(node_loss.POLICIES),
            meaning="a new host at the step that was interrupted; all back to the last saved step, "
            "one in 8; all back to the beginning; the others divide the rest; the others read "
            "their own shares",
        ),
    ],
    metrics=[
        Metric(
            "noticed_ms", unit="ms", better="lower", meaning="until the job knows that it is lost"
        ),
        Metric(
            "stands_ms",
            unit="ms",
            better="lower",
            meaning="from the loss until the step that it interrupted has its samples, computing "
            "nothing; starting a process counts, getting a machine does not",
        ),
        Metric("twice", unit="1", better="lower", meaning="samples that were delivered again"),
        Metric("never", unit="1", better="lower", meaning="samples that no host delivered"),
        Metric("lost_at", unit="1", better="neither", meaning="step of the loss, of 32"),
    ],
    packages=backends.PACKAGES,
    controls=dict(backend=["null"]),
    twin=dict(backend="s3-rclone"),
    timeout_s=180.0,
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=9.0, disk_mb=50, backend=["null", "s3-rclone"]),
        quick=Scale(blocks=5, trial_seconds=9.0, disk_mb=50, backend=["null", "s3-rclone"]),
        full=Scale(blocks=8, trial_seconds=9.0, disk_mb=50, backend=["null", "s3-rclone"]),
    ),
)


@experiment.needs
def needs(cell):
    return backends.needs(cell.backend)


@experiment.uses
def tools():
    return backends.tools()


@experiment.build(needs=[packages.XXHASH])
def build(folder):
    place = folder / "data" / "samples"
    place.mkdir(parents=True, exist_ok=True)
    with open(place / NAME, "wb") as file:
        for number in range(COUNT):
            file.write(samples.content(number, SAMPLE_BYTES))


@experiment.trial
def trial(cell, site):
    host = site.client
    plan = dict(
        name=NAME,
        count=COUNT,
        size=SAMPLE_BYTES,
        hosts=HOSTS,
        batch=BATCH,
        save_every=SAVE_EVERY,
        limit_s=LIMIT_S,
        seed=site.seed % 2**32,
        tries=TRIES,
    )
    with backends.open(
        cell.backend, host, host.provide(site.programs / "data") / "samples"
    ) as opened:
        argv = [host.python, "-m", node_loss.__name__, json.dumps(plan | dict(store=opened.store))]
        results = json.loads(host.run(argv, timeout=160).stdout)
    for (failure, policy), result in zip(TRIES, results, strict=True):
        yield {"failure": failure, "policy": policy, **result}
