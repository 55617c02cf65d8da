"""Says while a trial runs that it takes far longer than planned."""

from collections.abc import Callable

from benchpaper.design.spec import Experiment
from benchpaper.measure.attempt import Alarm

# A trial is late when it takes several times the planned seconds, and some seconds more.
LATE_FACTOR, LATE_LEAST_S = 3.0, 5.0


def alarm(
    experiment: Experiment, cell: str, planned_s: float, report: Callable[..., None]
) -> Alarm | None:
    """Return what reports a late trial of a cell; None if the trial times out before.

    `planned_s` is how long it should take.
    """
    limit = experiment.timeout_s
    late = max(LATE_FACTOR * planned_s, planned_s + LATE_LEAST_S)

    def ring(seconds: float) -> None:
        report(
            "late",
            cell=cell,
            message=f"has run for {seconds:.0f} s, but {planned_s:g} s were planned; it ends at "
            f"timeout_s={limit:g} at the latest; if it is right, declare a larger "
            f"trial_seconds in experiments/{experiment.name}/experiment.py",
        )

    return Alarm(late, ring) if late < limit else None
