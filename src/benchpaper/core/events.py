"""Progress events: the steps of a run append JSON lines to the file $BENCHPAPER_EVENTS."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchpaper.core.redact import Redactor

VARIABLE = "BENCHPAPER_EVENTS"


def emit(event: str, **facts: Any) -> None:
    """Append one event. Without $BENCHPAPER_EVENTS, or on a full disk, do nothing."""
    path = os.environ.get(VARIABLE)
    if path:
        line = json.dumps({"event": event, "time": time.time(), **facts}) + "\n"
        with suppress(OSError), open(path, "a") as file:
            file.write(line)


@contextmanager
def step(name: str, **facts: Any) -> Iterator[None]:
    """Emit an event when a step of the pipeline begins, and another when it ends or fails."""
    emit("step", name=name, **facts)
    try:
        yield
    except Exception as error:  # an interrupt is not a failure of the step
        message = Redactor(Path.cwd()).without_secrets(str(error))
        emit("step failed", name=name, error=message, **facts)
        raise
    emit("step done", name=name, **facts)


class Reader:
    """Reads the events that were added since the last call."""

    def __init__(self, path: Path | str):
        self._path, self._offset = path, 0

    def new(self) -> list[dict[str, Any]]:
        """Return the new events, oldest first.

        A line that is still being written waits for the next call. A line that a full disk cut
        short is skipped.
        """
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [event for line in whole.splitlines() if (event := _parsed(line))]


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
