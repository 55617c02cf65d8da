"""What is going on, told by the steps of a run to whoever watches: JSON lines in the file $BENCHPAPER_EVENTS."""

import json
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from benchpaper.core.redact import Redactor

VARIABLE = "BENCHPAPER_EVENTS"


def emit(event, **facts):
    """Append one event. Nothing happens when nobody watches; on a full disk the work goes on untold."""
    path = os.environ.get(VARIABLE)
    if path:
        line = json.dumps({"event": event, "time": time.time(), **facts}) + "\n"
        with suppress(OSError), open(path, "a") as file:
            file.write(line)


@contextmanager
def step(name, **facts):
    """Tell that a step of the pipeline begins, and how it ended."""
    emit("step", name=name, **facts)
    try:
        yield
    except Exception as error:  # an interrupt is no failure of the step
        emit(
            "step failed",
            name=name,
            error=Redactor(Path.cwd()).without_secrets(str(error)),
            **facts,
        )
        raise
    emit("step done", name=name, **facts)


class Reader:
    """Reads the events that were added since the last call."""

    def __init__(self, path):
        self._path, self._offset = path, 0

    def new(self):
        """Return the new events, oldest first; a line still being written waits for the next call, and one that a full
        disk cut short is left out."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [event for line in whole.splitlines() if (event := _parsed(line))]


def _parsed(line):
    try:
        return json.loads(line)
    except ValueError:
        return None
