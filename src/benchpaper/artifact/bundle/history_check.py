"""Compares the claims' history in an archive with its claims and results.

What git says of the past can only be looked up in the repository. The archive's own statement must
fit what is inside: the same claims, and references that were measured when their trials say.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchpaper.analysis import history
from benchpaper.analysis.claim_rows import ClaimRow
from benchpaper.analysis.estimates import Results
from benchpaper.artifact.bundle import confined
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project


def check(
    project: Project, build: Path, rows: Sequence[ClaimRow], read: Mapping[Path, Results]
) -> str:
    """Check the history; return a line on success. `read` are all results inside, by folder.

    Raises `NotVerified` at the first contradiction.
    """
    confined.reading(history.FILE)
    own, shown = project.root / history.FILE, build / history.FILE
    if not own.exists() or not shown.exists() or own.read_bytes() != shown.read_bytes():
        raise NotVerified(f"{history.FILE} is missing, or is another than the paper shows")
    try:
        past = history.read(own)
    except UserError as error:
        raise NotVerified(str(error)) from None
    if past.why:
        if past.claims or past.measured:
            raise NotVerified(f"{history.FILE} states a history, and that there is none")
        return f"{past.why}; nothing is stated"
    if unknown := sorted(set(past.claims) - {row.id for row in rows}):
        raise NotVerified(f"{history.FILE} has a history of {unknown[0]}, which is no claim inside")
    for name, claim in past.claims.items():
        if claim.word not in (history.UNCOMMITTED,) and not (claim.first and claim.bound):
            raise NotVerified(f"{history.FILE} says that {name} was {claim.word}, but not when")
    _check_measured(project, past, read)
    return (
        f"the history of {len(past.claims)} claims fits the claims and the references inside; "
        "only the repository can prove it"
    )


def _check_measured(project: Project, past: history.History, read: Mapping[Path, Results]) -> None:
    """Check that each reference inside is the last that the history lists of its site."""
    top = project.results("site", REFERENCE).parent
    for folder, results in read.items():
        if top not in folder.parents or results.imported:
            continue
        started = results.trial_df["started"].min().isoformat(timespec="seconds")
        site = folder.relative_to(top).parts[0]
        listed = [
            each.started for each in past.measured.get(results.experiment, ()) if each.site == site
        ]
        if listed and started != listed[-1]:
            raise NotVerified(
                f"{history.FILE}: the last reference of {results.experiment} began {listed[-1]}, "
                f"but the one inside {started}"
            )
