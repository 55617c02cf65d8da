"""Do concurrent clients of both protocols see one register per name?"""

import numpy as np

from benchpaper import Evidence, Experiment, Metric, Scale
from experiments.multiprotocol import invariants, running, scales, settings, stacks
from experiments.multiprotocol.checker import draw
from experiments.multiprotocol.checker.check import check, explain
from experiments.multiprotocol.checker.history import from_operations
from experiments.multiprotocol.checker.search import UNKNOWN, VIOLATION, Bounds
from experiments.multiprotocol.checker.sessions import GUARANTEES, sessions, staleness
from experiments.multiprotocol.model import INVARIANTS

CLIENTS = 4  # two through each protocol; of the file side one truncates, and one renames
CAS = 2  # weight of compare-and-sets, next to 6 for reads and 4 for writes

experiment = Experiment(
    title="Linearizability across protocols",
    question="Do concurrent clients of both protocols see one register per name?",
    factors=scales.FACTORS,
    metrics=[
        Metric(
            "violated_share",
            unit="1",
            better="lower",
            meaning="share of names whose history is not linearizable",
        ),
        Metric(
            "unknown_share",
            unit="1",
            better="lower",
            meaning="share of names that the checker left undecided",
        ),
        Metric(
            "stale_share",
            unit="1",
            better="lower",
            meaning="share of reads that return a value overwritten before they began",
        ),
        Metric(
            "staleness_ms",
            unit="ms",
            better="lower",
            kept="all samples",
            meaning="for each read while clients write, how long its value had been overwritten",
        ),
        *[
            Metric(
                f"broken_{name.replace(' ', '_')}",
                unit="count",
                better="lower",
                meaning=f"reads that break a client's guarantee: {name}",
            )
            for name in GUARANTEES
        ],
        *[
            Metric(
                f"{name.lower()}_violated",
                unit="count",
                better="lower",
                meaning=f"reads or writes that violate {name}: {text}",
            )
            for name, text in INVARIANTS.items()
        ],
        *[
            Metric(
                f"{name.lower()}_checked",
                unit="count",
                better="neither",
                meaning=f"reads or writes by which {name} was checked",
            )
            for name in INVARIANTS
        ],
        Metric("operations", unit="count", better="neither", meaning="operations in the history"),
        Metric(
            "unanswered",
            unit="count",
            better="lower",
            meaning="operations whose outcome is not known: an error, or no answer",
        ),
    ],
    evidence=[
        Evidence("witness", "the operations that prove the first violation, as text"),
        Evidence("outcome", "ran, or how the server ended"),
    ],
    roles=scales.ROLES,
    packages=running.PACKAGES,
    twin=scales.TWIN,
    controls=scales.CONTROLS,
    timeout_s=240,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.5,
            disk_mb=20,
            counts=dict(operations=40, keys=4, patience_ms=200, confirm_ms=200, bound_ms=100),
            **scales.SMOKE,
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.5,
            disk_mb=20,
            counts=dict(operations=40, keys=4, patience_ms=200, confirm_ms=200, bound_ms=100),
            **scales.QUICK,
        ),
        full=Scale(
            blocks=8,
            trial_seconds=3.6,
            disk_mb=20,
            counts=dict(
                operations=120,
                keys=6,
                patience_ms=scales.PATIENCE_MS,
                confirm_ms=7000,
                bound_ms=1000,
            ),
            system=scales.WITHOUT_RGW,
            **scales.ONLY_DEFAULT,
        ),
    ),
)
scales.declare(experiment)


@experiment.trial
def trial(cell, site):
    counts = site.counts
    rows, outcome = running.run(
        site,
        cell,
        150,
        what="history",
        clients=CLIENTS,
        operations=counts.operations,
        keys=counts.keys,
        cas=CAS,
        validators=True,
        patience_s=scales.patience_s(site),
        write_back_s=settings.write_back_s(stacks.server_of(cell.system), cell.setting),
        seed=site.seed,
    )
    if not rows:
        raise RuntimeError(f"the probe recorded nothing: {outcome}")
    yield {**judged(rows, counts.bound_ms / 1e3), "outcome": outcome}


def judged(rows, bound_s):
    """Return the metrics for a history (a list of operations), with the bound of I2 in seconds."""
    history = from_operations(enumerate(rows, 1))
    verdicts = check(history, Bounds(seconds=20))
    violated = [verdict for verdict in verdicts if verdict.word == VIOLATION]
    kept = invariants.check(rows, bound_s)
    broken = sessions(history).broken
    # The last reads would tell for how long we waited.
    meanwhile = [row for row in rows if not row.get("final")]
    ages = staleness(from_operations(enumerate(meanwhile, 1))).age_ns
    return {
        "violated_share": len(violated) / len(verdicts),
        "unknown_share": sum(verdict.word == UNKNOWN for verdict in verdicts) / len(verdicts),
        "stale_share": float((ages > 0).mean()) if len(ages) else 0.0,
        "staleness_ms": ages / 1e6 if len(ages) else np.zeros(1),
        **{f"broken_{name.replace(' ', '_')}": len(verdict) for name, verdict in broken.items()},
        **{f"{name.lower()}_violated": len(verdict.lines) for name, verdict in kept.items()},
        **{f"{name.lower()}_checked": verdict.checked for name, verdict in kept.items()},
        "operations": len(rows),
        "unanswered": sum(row["completed_ns"] is None for row in rows),
        "witness": "\n".join(draw.text(history, explain(history, violated[0], 3)))
        if violated
        else "",
    }
