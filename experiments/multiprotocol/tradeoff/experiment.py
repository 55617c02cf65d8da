"""What does consistency between the protocols cost?"""

from benchpaper import Evidence, Experiment, Metric, Scale
from experiments.multiprotocol import running, scales

experiment = Experiment(
    title="Throughput against staleness",
    question="What does consistency between the protocols cost?",
    factors=scales.FACTORS,
    metrics=[
        Metric(
            "metadata_per_s",
            unit="1/s",
            better="higher",
            meaning="stat calls of the file side, one after the other, on 16 small files",
        ),
        Metric(
            "reads_per_s",
            unit="1/s",
            better="higher",
            meaning="4 KiB files read whole, one after the other",
        ),
        Metric(
            "writes_per_s",
            unit="1/s",
            better="higher",
            meaning="4 KiB files replaced durably, one after the other",
        ),
        Metric(
            "read_mb_s",
            unit="MB/s",
            better="higher",
            meaning="a file of 4 MiB read whole again and again, in 10^6 bytes; "
            "its content is checked",
        ),
        Metric(
            "staleness_ms",
            unit="ms",
            better="lower",
            optional=True,
            meaning="mean time from a PUT's completion until the file side returns it; "
            "what was not seen has none",
        ),
        Metric(
            "stale_share",
            unit="1",
            better="lower",
            meaning="share of PUTs that the file side did not return within 20 ms",
        ),
        Metric(
            "unseen_share",
            unit="1",
            better="lower",
            meaning="share of PUTs that the file side did not return in the time waited",
        ),
    ],
    evidence=[Evidence("outcome", "ran, or how the server ended")],
    roles=scales.ROLES,
    packages=running.PACKAGES,
    twin=scales.TWIN,
    controls=scales.CONTROLS,
    timeout_s=180,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=1.5,
            disk_mb=20,
            counts=dict(writes=2, patience_ms=300, confirm_ms=300, slice_ms=40),
            system=scales.FAST,
            **scales.ONLY_DEFAULT,
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=1.5,
            disk_mb=20,
            counts=dict(writes=2, patience_ms=300, confirm_ms=300, slice_ms=60),
            **scales.QUICK,
        ),
        full=Scale(
            blocks=8,
            trial_seconds=3.3,
            disk_mb=20,
            counts=dict(writes=2, patience_ms=scales.PATIENCE_MS, confirm_ms=2500, slice_ms=100),
            system=scales.WITH_FILES,
            **scales.BOTH_SETTINGS,
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
        120,
        what="tradeoff",
        writes=counts.writes,
        patience_s=scales.patience_s(site),
        seconds=counts.slice_ms / 1e3,
    )
    if len(said) != 1:
        raise RuntimeError(f"the probe measured nothing: {outcome}")
    yield {**said[0], "outcome": outcome}
