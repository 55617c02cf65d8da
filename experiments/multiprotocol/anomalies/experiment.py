"""What goes wrong when one data set is reached as files and as objects?"""

import json

from benchpaper import Evidence, Experiment, Metric, Scale
from experiments.multiprotocol import replay, running, scales, stacks
from experiments.multiprotocol.anomalies import attribution
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE, INVARIANT, KINDS
from experiments.multiprotocol.anomalies.severity import LEVELS

REPLAY_TRIES = 12  # per witness; a race does not occur each time
LIMIT_S = 30  # for one kind; a server that is killed takes some seconds to return
AT_MOST_S = 300  # for one system, with the watch at the end
ONCE = dict(tries=1, often=1, kind_ms=0, often_ms=0, lanes=1, patience_ms=200, watch_s=0)
# One block watches for a minute, and tries meanwhile: what takes milliseconds as often as fits in
# `often_ms`, up to 1,000 times, and what waits a few times. The other blocks confirm.
OFTEN = dict(tries=20, often=1000, kind_ms=20, often_ms=3500, lanes=3, patience_ms=8000, watch_s=61)
SILENT_LOSS = LEVELS.index("silent loss")

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
                meaning=f"share of tries, {INVARIANT[name]}: {function.__doc__}",
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
                "in the first of every `attribute_every` blocks",
            )
            for side, meaning in attribution.DUE_TO.items()
        ],
        Metric(
            "silent_losses",
            unit="count",
            better="lower",
            meaning="kinds seen that lose something acknowledged while all operations succeed",
        ),
        Metric(
            "worst_severity",
            unit="1",
            better="lower",
            meaning=f"the highest severity seen, 0 to 6: {', '.join(LEVELS)}; "
            "only the first of every `attribute_every` blocks looks for longer than once",
        ),
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
            "severities",
            "for each kind seen, the severity of the first try in which it occurred: its level, "
            "how long it was seen, whether it ended, whether anybody was told (JSON)",
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
    timeout_s=480,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=6,
            disk_mb=60,
            counts=dict(**ONCE, replay_every=4, attribute_every=1),
            **scales.SMOKE_ALL,
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=3,
            disk_mb=60,
            counts=dict(**ONCE, replay_every=10, attribute_every=5),
            setting=["default"],
            system=[*stacks.CONTROLS, "rclone", "juicefs", "seaweedfs"],
        ),
        full=Scale(
            blocks=8,
            trial_seconds=8.5,
            disk_mb=1000,
            counts=dict(**OFTEN, replay_every=8, attribute_every=8),
            **scales.FULL,
        ),
    ),
)
scales.declare(experiment)


@experiment.trial
def trial(cell, site):
    counts = site.counts
    attributed = site.block.number % counts.attribute_every == 0
    # Occurrences are alike over the blocks; one block waits until the last of them is over.
    thorough = attributed and cell.setting == "default" and cell.system != stacks.BROKEN
    said, outcome = running.run(
        site,
        cell,
        AT_MOST_S,
        what="anomalies",
        tries=counts.often if thorough else counts.tries,
        kind_s=(counts.often_ms if thorough else counts.kind_ms) / 1e3,
        lanes=1 if cell.system == stacks.BROKEN else counts.lanes,
        patience_s=counts.patience_ms / 1e3,
        watch_s=counts.watch_s * thorough,
        seed=site.seed % 1000,
        limit_s=LIMIT_S,
        attribute=attributed,
    )
    if not said:
        raise RuntimeError(f"the probe found nothing: {outcome}")
    by_kind = of_kinds(said)
    judged = {kind: result for kind, result in by_kind.items() if result["tries"]}
    witnesses = {kind: result["witness"] for kind, result in judged.items() if result["witness"]}
    again = (
        replay.again(site, cell, witnesses, REPLAY_TRIES)
        if witnesses and site.seed % counts.replay_every == 0
        else {}
    )
    yield {**_of_kinds_seen(judged, attributed), **_of_replays(again)} | {
        "witnesses": json.dumps(witnesses),
        "troubles": json.dumps(_troubles(by_kind) | _troubles(again, "replay of ")),
        "outcome": outcome,
    }


def of_kinds(said):
    """Return {kind: its line}, with the severity that a later line told."""
    by_kind: dict[str, dict] = {}
    for line in said:
        by_kind[line["kind"]] = by_kind.get(line["kind"], {}) | line
    return by_kind


def _of_kinds_seen(judged, attributed):
    severities = {kind: r["severity"] for kind, r in judged.items() if r["severity"]}
    levels = [severity["level"] for severity in severities.values()]
    due = {
        kind: attribution.described(kind in CONFORMANCE, result)
        for kind, result in judged.items()
        if "solos" in result
    }
    return {
        **{kind: result["seen"] / result["tries"] for kind, result in judged.items()},
        **{f"tries_{kind}": result["tries"] for kind, result in judged.items()},
        "kinds_seen": sum(result["seen"] > 0 for result in judged.values()),
        "silent_losses": sum(level == SILENT_LOSS for level in levels),
        "worst_severity": max(levels, default=0),
        "severities": json.dumps(severities),
        **(attribution.totals(due) if attributed else {}),
        "attribution": json.dumps(due),
    }


def _of_replays(again):
    # A kind without tries did not get its turn.
    replayed = {kind: result for kind, result in again.items() if result["tries"]}
    tries = {kind: result["tries"] if result["seen"] else 0 for kind, result in replayed.items()}
    counted = {
        "witnesses_tried": len(replayed),
        "witnesses_replayed": sum(result["seen"] > 0 for result in replayed.values()),
    }
    return {"replays": json.dumps(tries), **(counted if replayed else {})}


def _troubles(results, prefix=""):
    return {prefix + kind: result["error"] for kind, result in results.items() if result["error"]}
