"""From an attempt to what the results keep of it: redacted, and checked against the schema."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core.printable import printable
from benchpaper.core.redact import Redactor
from benchpaper.measure.attempt import Attempt
from benchpaper.results.records import AttemptSummary, Observation


def redacted(attempt: Attempt, redactor: Redactor) -> Attempt:
    """Return the attempt without traces of this machine, and without secrets.

    The redactor learns all commands first, because they show the secrets that programs repeat in
    their output, and that other commands show under a harmless name.
    """
    for command in attempt.commands:
        redactor.learn(command.argv)
    return replace(
        attempt,
        commands=tuple(
            replace(command, argv=tuple(redactor.command(command.argv)))
            for command in attempt.commands
        ),
        message=printable(redactor.shortened(attempt.message)),
        output=printable(redactor.text(attempt.output)),
    )


def checked(
    attempt: Attempt, described: Mapping[str, Any], redactor: Redactor
) -> tuple[Attempt, tuple[Observation, ...]]:
    """Return the attempt, and its observations, checked and redacted.

    If an observation breaks the schema, the attempt has failed, and has no observations.
    """
    try:
        rows = [results.check_observation(described, row) for row in attempt.observations]
    except results.InvalidObservation as error:
        message = redactor.shortened(str(error))
        return replace(attempt, outcome="failed", message=message), ()
    return attempt, tuple(
        replace(
            row,
            evidence={
                name: printable(redactor.shortened(text)) for name, text in row.evidence.items()
            },
        )
        for row in rows
    )


def summary(attempt: Attempt) -> AttemptSummary:
    """Return what a trial's record says about each attempt."""
    return AttemptSummary(attempt.started, attempt.seconds, attempt.outcome, attempt.message)


def keep_output(attempt: Attempt, cell_id: str, path: Path) -> None:
    """Write the output of a failed attempt to a file for the user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{cell_id}\n{attempt.outcome}: {attempt.message}\n{attempt.output}")
