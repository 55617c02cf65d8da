"""From an attempt to what the results keep of it: redacted, and checked against the schema."""

from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core.printable import printable
from benchpaper.core.redact import Redactor
from benchpaper.measure.attempt import Attempt


def redact(attempt: Attempt, redactor: Redactor) -> None:
    """Remove traces of this machine, and secrets, from what an attempt reports.

    Commands come first, because they show the secrets that programs repeat in their output, and
    that other commands show under a harmless name.
    """
    for command in attempt.commands:
        redactor.learn(command["argv"])
    for command in attempt.commands:
        command["argv"] = redactor.command(command["argv"])
    attempt.message = printable(redactor.shortened(attempt.message))
    attempt.output = printable(redactor.text(attempt.output))


def checked_observations(
    attempt: Attempt, described: dict[str, Any], redactor: Redactor
) -> list[dict[str, Any]]:
    """Return the redacted observations; if one breaks the schema, the attempt has failed."""
    try:
        rows = [results.check_observation(described, row) for row in attempt.observations]
    except results.InvalidObservation as error:
        attempt.outcome, attempt.message = "failed", redactor.shortened(str(error))
        return []
    return [
        {
            name: printable(redactor.shortened(value)) if isinstance(value, str) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def summary(attempt: Attempt) -> dict[str, Any]:
    """Return what a trial's record says about each attempt."""
    return {key: getattr(attempt, key) for key in ("started", "seconds", "outcome", "message")}


def keep_output(attempt: Attempt, cell_id: str, path: Path) -> None:
    """Write the output of a failed attempt to a file for the user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{cell_id}\n{attempt.outcome}: {attempt.message}\n{attempt.output}")
