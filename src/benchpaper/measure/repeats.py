"""Decides which cells are not tried again, because they failed identically before.

A cell that fails in each block costs as much time as it has blocks and attempts, and tells nothing
new. So after two attempts or more that all ended with the same error, the other blocks record the
cell as failed without running it. A cell that was measured once, or that failed in two ways, is
flaky, and is always tried. So is a cell whose failure the machine may have caused, and one whose
blocks differ in more than time.
"""

import re
from collections.abc import Iterable
from contextlib import suppress

from benchpaper.core.project import REFERENCE, Project
from benchpaper.design import catalog
from benchpaper.results import FAILED, MEASURED, NOT_TRIED, TRIALS, ResultsError, read
from benchpaper.results.records import TrialRecord

MIN_ATTEMPTS = 2  # a single failure does not show that the next attempt would fail, too
SUSPENDED_S = 0.1  # the clocks differ by less than that without any suspension
PLACE = re.compile(r"experiments/\S+:\d+: ")  # the author's line, which has to be the same
VARYING = re.compile(r"[\w.$~-]*(?:/[\w.$~-]+)+/?|0x[0-9a-fA-F]+|\d+(?:\.\d+)?")


def given_up(records: Iterable[TrialRecord]) -> dict[str, str]:
    """Return {cell: why it is not tried again}; `records` are those of all other blocks."""
    by_cell: dict[str, list[TrialRecord]] = {}
    for record in records:
        by_cell.setdefault(record.cell, []).append(record)
    return {cell: why for cell, tried in by_cell.items() if (why := _reason(tried))}


def in_reference(project: Project, name: str, cell: str) -> bool:
    """Return whether the reference of any site holds a measured trial of a cell by today's code."""
    for path in sorted(project.results("local", REFERENCE).parent.glob(f"*/{name}/{TRIALS}")):
        with suppress(ResultsError):
            table, described = read(path)
            trials = table.select(["cell", "state", "git_commit"]).to_pylist()
            commits = dict.fromkeys(trial["git_commit"] for trial in trials)
            measured = {trial["cell"] for trial in trials if trial["state"] == MEASURED}
            if cell in measured and not catalog.changed(project, name, described, commits):
                return True
    return False


def error_kind(message: str) -> str:
    """Return an error without its numbers and paths, which differ from one attempt to the next.

    The line of the experiment that raised it stays.
    """
    place = PLACE.match(message)
    end = place.end() if place else 0
    return message[:end] + VARYING.sub("#", message[end:])


def _reason(records: list[TrialRecord]) -> str:
    """Return why a cell with these records is not tried again; empty if it is."""
    if any(record.state == MEASURED for record in records):
        return ""
    failed = [record for record in records if _by_its_own_fault(record)]
    attempts = [attempt for record in failed for attempt in record.attempts]
    kinds = {(attempt.outcome, error_kind(attempt.message)) for attempt in attempts}
    if len(attempts) < MIN_ATTEMPTS or len(kinds) > 1:
        return ""
    blocks = sorted({record.block for record in failed})
    where = f"block{'s' if len(blocks) > 1 else ''} {', '.join(map(str, blocks))}"
    return f"{NOT_TRIED}: all {len(attempts)} attempts in {where} ended so: {failed[0].reason}"


def _by_its_own_fault(record: TrialRecord) -> bool:
    """Return whether a trial ran and failed, and the machine did not make it fail."""
    suspended_s = record.disturbances.suspended_s or 0.0
    disturbed = record.cause or suspended_s > SUSPENDED_S
    return record.state == FAILED and bool(record.attempts) and not disturbed
