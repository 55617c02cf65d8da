"""What goes wrong when one data set is reached as files and as objects?"""

import json

from benchpaper.spec import Evidence, Experiment, Metric, Scale
from experiments.multiprotocol import running, scales
from experiments.multiprotocol.anomalies.kinds import KINDS

experiment = Experiment(
    title="Anomalies between a file view and an S3 view",
    question="What goes wrong when one data set is reached as files and as objects?",
    factors=scales.FACTORS,
    metrics=[
        *[
            Metric(name, unit="1", better="lower", optional=True, meaning=f"share of tries: {function.__doc__}")
            for name, function in KINDS.items()
        ],
        *[
            Metric(f"tries_{name}", unit="count", better="neither", optional=True, meaning=f"tries of {name} that could be judged")
            for name in KINDS
        ],
        Metric("kinds_seen", unit="count", better="lower", meaning="kinds of anomaly that occurred at least once"),
    ],
    evidence=[
        Evidence("witnesses", "for each kind seen, what was done in the first try in which it occurred (JSON)"),
        Evidence("troubles", "for each kind with a try that could not be made, the first error (JSON)"),
        Evidence("outcome", "ran, or how the server ended"),
    ],
    roles=scales.ROLES, packages=running.PACKAGES, twin=scales.TWIN, timeout_s=150,
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=2, disk_mb=60, counts=dict(tries=1, slow_tries=1), **scales.ONLY_DEFAULT),
        quick=Scale(blocks=5, trial_seconds=2, disk_mb=60, counts=dict(tries=2, slow_tries=1), **scales.ONLY_DEFAULT),
        full=Scale(blocks=5, trial_seconds=4, disk_mb=100, counts=dict(tries=2, slow_tries=1)),
    ),
)  # fmt: skip
scales.declare(experiment)


@experiment.trial
def trial(cell, site):
    counts = site.counts
    said, outcome = running.run(
        site, cell, 120, what="anomalies", tries=counts.tries, slow_tries=counts.slow_tries, seed=site.seed % 1000, limit_s=12
    )
    if not said:
        raise RuntimeError(f"the probe found nothing: {outcome}")
    by_kind = {found["kind"]: found for found in said}
    judged = {kind: found for kind, found in by_kind.items() if found["tries"]}
    yield {
        **{kind: found["seen"] / found["tries"] for kind, found in judged.items()},
        **{f"tries_{kind}": found["tries"] for kind, found in judged.items()},
        "kinds_seen": sum(found["seen"] > 0 for found in judged.values()),
        "witnesses": json.dumps({kind: found["witness"] for kind, found in judged.items() if found["witness"]}),
        "troubles": json.dumps({kind: found["error"] for kind, found in by_kind.items() if found["error"]}),
        "outcome": outcome,
    }
