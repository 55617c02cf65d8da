"""How long until one protocol sees what the other wrote?"""

from benchpaper import Evidence, Experiment, Metric, Scale
from experiments.multiprotocol import running, scales
from experiments.multiprotocol.measure import WAYS

PATIENCE_MS = 65_000  # longer than the longest delay that a tested system documents, 60 s
AT_MOST_S = 180

experiment = Experiment(
    title="Visibility delay between protocols",
    question="How long until one protocol sees what the other wrote?",
    factors=scales.FACTORS,
    metrics=[
        metric
        for way in WAYS
        for metric in (
            Metric(
                f"{way.replace(' ', '_')}_ms",
                unit="ms",
                better="lower",
                kept="all samples",
                meaning=f"{way}: from a write's completion until a poll on the other side, "
                "every 0.5 ms, first returns it; "
                "what was not seen counts as the time that was waited",
            ),
            Metric(
                f"unseen_{way.replace(' ', '_')}",
                unit="1",
                better="lower",
                meaning=f"{way}: share of writes not seen in the time waited",
            ),
        )
    ],
    evidence=[Evidence("outcome", "ran, or how the server ended")],
    roles=scales.ROLES,
    packages=running.PACKAGES,
    twin=scales.TWIN,
    controls=scales.CONTROLS,
    timeout_s=300,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.5,
            disk_mb=5,
            counts=dict(writes=2, patience_ms=300),
            **scales.SMOKE,
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.5,
            disk_mb=5,
            counts=dict(writes=2, patience_ms=300),
            **scales.QUICK,
        ),
        full=Scale(
            blocks=5,
            trial_seconds=35,
            disk_mb=5,
            counts=dict(writes=2, patience_ms=PATIENCE_MS),
            system=scales.KERNEL_CLIENT,
        ),
    ),
)
scales.declare(experiment)


@experiment.trial
def trial(cell, site):
    counts = site.counts
    said, outcome = running.run(
        site,
        cell,
        AT_MOST_S,
        what="visibility",
        writes=counts.writes,
        patience_s=counts.patience_ms / 1e3,
    )
    if len(said) != len(WAYS):
        raise RuntimeError(f"the probe measured {len(said)} of {len(WAYS)} ways: {outcome}")
    row = {"outcome": outcome}
    for result in said:
        name = result["way"].replace(" ", "_")
        row |= {
            f"{name}_ms": result["delays_ms"],
            f"unseen_{name}": result["unseen"] / len(result["delays_ms"]),
        }
    yield row
