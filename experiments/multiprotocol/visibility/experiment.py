"""How long until one protocol sees what the other wrote?"""

import json

from benchpaper import Evidence, Experiment, Metric, Scale
from experiments.multiprotocol import running, scales
from experiments.multiprotocol.measure import WAYS

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
                optional=True,
                meaning=f"{way}: from a write's completion until a poll on the other side, "
                "every 0.5 ms, first returns it; what was not seen has no delay",
            ),
            Metric(
                f"unseen_{way.replace(' ', '_')}",
                unit="1",
                better="lower",
                meaning=f"{way}: share of writes not seen in the time waited",
            ),
        )
    ]
    + [
        Metric(
            "waited_s",
            unit="s",
            better="neither",
            meaning="for how long a write that is not seen is waited for",
        )
    ],
    evidence=[
        Evidence("refusals", "the first error of a read that was refused, for each way (JSON)"),
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
            trial_seconds=1.5,
            disk_mb=5,
            counts=dict(writes=2, patience_ms=300, confirm_ms=300),
            **scales.SMOKE,
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.5,
            disk_mb=5,
            counts=dict(writes=2, patience_ms=300, confirm_ms=300),
            **scales.QUICK,
        ),
        full=Scale(
            blocks=8,
            trial_seconds=4,
            disk_mb=5,
            # Others wait for longer than the delays of seconds that the systems document.
            counts=dict(writes=2, patience_ms=scales.PATIENCE_MS, confirm_ms=7000),
            system=scales.WITHOUT_RGW,
            **scales.BOTH_SETTINGS,
        ),
    ),
)
scales.declare(experiment)


@experiment.trial
def trial(cell, site):
    counts, patience_s = site.counts, scales.patience_s(site)
    said, outcome = running.run(
        site,
        cell,
        AT_MOST_S,
        what="visibility",
        writes=counts.writes,
        patience_s=patience_s,
    )
    if len(said) != len(WAYS):
        raise RuntimeError(f"the probe measured {len(said)} of {len(WAYS)} ways: {outcome}")
    refusals = {result["way"]: result["refusal"][:160] for result in said if result["refusal"]}
    row = {
        "waited_s": patience_s,
        "refusals": json.dumps(refusals),
        "outcome": outcome,
    }
    for result in said:
        name = result["way"].replace(" ", "_")
        row[f"unseen_{name}"] = result["unseen"] / counts.writes
        if result["delays_ms"]:
            row[f"{name}_ms"] = result["delays_ms"]
    yield row
