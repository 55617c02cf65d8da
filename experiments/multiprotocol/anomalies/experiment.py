"""What goes wrong when one data set is reached as files and as objects?"""

import json

from benchpaper import Evidence, Experiment, Metric, Scale
from experiments.multiprotocol import replay, running, scales, stacks
from experiments.multiprotocol.anomalies import attribution
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE, KINDS

REPLAY_TRIES = 12  # per witness; a race does not occur each time

experiment = Experiment(
    title="Anomalies between a file view and an S3 view",
    question="What goes wrong when one data set is reached as files and as objects?",
    factors=scales.FACTORS,
    metrics=[
        *[
            Metric(
                name,
                unit="1",
                better="lower",
                optional=True,
                meaning=f"share of tries: {function.__doc__}",
            )
            for name, function in KINDS.items()
        ],
        *[
            Metric(
                f"tries_{name}",
                unit="count",
                better="neither",
                optional=True,
                meaning=f"tries of {name} that could be judged",
            )
            for name in KINDS
        ],
        Metric(
            "kinds_seen",
            unit="count",
            better="lower",
            meaning="kinds of anomaly that occurred at least once",
        ),
        *[
            Metric(
                f"kinds_of_{side}",
                unit="count",
                better="lower",
                optional=True,
                meaning=f"kinds seen that {meaning}, "
                "in one of `attribute_every` trials as their seeds have it",
            )
            for side, meaning in attribution.DUE_TO.items()
        ],
        Metric(
            "witnesses_tried",
            unit="count",
            better="neither",
            optional=True,
            meaning="kinds seen whose witness was replayed on a server started afresh, "
            "in one of `replay_every` trials as their seeds have it",
        ),
        Metric(
            "witnesses_replayed",
            unit="count",
            better="higher",
            optional=True,
            meaning="of these, kinds that occurred again",
        ),
    ],
    evidence=[
        Evidence(
            "witnesses",
            "for each kind seen, what was done in the first try in which it occurred (JSON)",
        ),
        Evidence(
            "replays",
            "for each witness that was replayed: "
            "in which try the kind occurred again, 0 for none (JSON)",
        ),
        Evidence(
            "troubles", "for each kind with a try that could not be made, the first error (JSON)"
        ),
        Evidence(
            "attribution",
            "for each kind seen, to which side it is due, and its tries over one protocol (JSON); "
            "empty in a trial that attributes nothing",
        ),
        Evidence("outcome", "ran, or how the server ended"),
    ],
    roles=scales.ROLES,
    packages=running.PACKAGES,
    twin=scales.TWIN,
    controls=scales.CONTROLS,
    timeout_s=300,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=4,
            disk_mb=60,
            counts=dict(tries=1, slow_tries=1, replay_every=4, attribute_every=1),
            **scales.SMOKE_ALL,
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.5,
            disk_mb=60,
            counts=dict(tries=1, slow_tries=1, replay_every=10, attribute_every=5),
            setting=["default"],
            system=[*stacks.CONTROLS, "rclone", "juicefs", "seaweedfs"],
        ),
        full=Scale(
            blocks=5,
            trial_seconds=6,
            disk_mb=100,
            counts=dict(tries=2, slow_tries=1, replay_every=3, attribute_every=1),
        ),
    ),
)
scales.declare(experiment)


@experiment.trial
def trial(cell, site):
    counts = site.counts
    attributed = site.seed % counts.attribute_every == 0
    said, outcome = running.run(
        site,
        cell,
        150,
        what="anomalies",
        tries=counts.tries,
        slow_tries=counts.slow_tries,
        seed=site.seed % 1000,
        limit_s=12,
        attribute=attributed,
    )
    if not said:
        raise RuntimeError(f"the probe found nothing: {outcome}")
    by_kind = {result["kind"]: result for result in said}
    judged = {kind: result for kind, result in by_kind.items() if result["tries"]}
    witnesses = {kind: result["witness"] for kind, result in judged.items() if result["witness"]}
    again = (
        replay.again(site, cell, witnesses, REPLAY_TRIES)
        if witnesses and site.seed % counts.replay_every == 0
        else {}
    )
    due = {
        kind: attribution.described(kind in CONFORMANCE, result)
        for kind, result in judged.items()
        if "solos" in result
    }
    # A kind without tries did not get its turn.
    replayed = {kind: result for kind, result in again.items() if result["tries"]}
    yield {
        **{kind: result["seen"] / result["tries"] for kind, result in judged.items()},
        **{f"tries_{kind}": result["tries"] for kind, result in judged.items()},
        "kinds_seen": sum(result["seen"] > 0 for result in judged.values()),
        **(attribution.totals(due) if attributed else {}),
        "attribution": json.dumps(due),
        "witnesses": json.dumps(witnesses),
        "replays": json.dumps(
            {kind: result["tries"] if result["seen"] else 0 for kind, result in replayed.items()}
        ),
        "troubles": json.dumps(
            {kind: result["error"] for kind, result in by_kind.items() if result["error"]}
            | {
                f"replay of {kind}": result["error"]
                for kind, result in again.items()
                if result["error"]
            }
        ),
        "outcome": outcome,
        **(
            {
                "witnesses_tried": len(replayed),
                "witnesses_replayed": sum(result["seen"] > 0 for result in replayed.values()),
            }
            if replayed
            else {}
        ),
    }
