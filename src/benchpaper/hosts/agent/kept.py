"""What ended trials leave on a target host, kept in its folder until the controller fetches it.

Per trial, the folder holds the scratch folder, a lock file while the trial is not fetched, and at
last a `.kept` file with the output.
"""

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from benchpaper.core import disk_space
from benchpaper.core.processes import kill_marked, outputs
from benchpaper.core.redact import Redactor
from benchpaper.hosts import cleanup


def mark(trial: str) -> str:
    """Return the mark of every process of a trial, in its environment and its limits."""
    return f"{cleanup.TRIAL_MARK}={trial}"


def claim(trials: Path, trial: str) -> int | None:
    """Lock a trial, which shows that its session lives; None if another process holds the lock.

    Returns the descriptor of the open lock file.
    """
    descriptor = os.open(trials / f"{trial}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def conclude_trial(
    trials: Path, trial: str, folder: Path, redactor: Redactor, stood_still_s: float = 0.0
) -> None:
    """Remove what a trial has left, and keep its output, without secrets.

    Call it when the session's processes are dead; they stood still for `stood_still_s` before.
    """
    leftovers = ["a process"] * kill_marked(mark(trial))
    record = {
        "output": redactor.without_secrets(outputs(folder)),
        "shortage": disk_space.shortage(folder),
        "stood_still_s": stood_still_s,
        "found": leftovers + cleanup.clear(folder),
    }
    # Only now, because the disk may have been full.
    part = trials / f"{trial}.part"
    part.write_text(json.dumps(record))
    part.rename(trials / f"{trial}.kept")


def conclude(trials: Path, prefix: str, seconds: float) -> dict[str, dict[str, Any]]:
    """Return {trial: {output, shortage, stood_still_s, found}} of ended trials, and forget them.

    Only names that begin with `prefix` count. Wait for sessions that still tidy up, for at most
    `seconds`, and tidy up for sessions that were killed. Leave out trials that are still alive.
    """
    concluded: dict[str, dict[str, Any]] = {}
    end = time.monotonic() + seconds
    names = {path.name.rpartition(".")[0] for path in trials.glob(f"{prefix}*.lock")}
    for trial in sorted(names):
        while (lock := claim(trials, trial)) is None and time.monotonic() < end:
            time.sleep(0.002)
        if lock is None:
            continue
        if (trials / trial).exists():
            conclude_trial(trials, trial, trials / trial, Redactor(trials / trial))
        for path in (trials / f"{trial}.kept", trials / f"{trial}.part"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                concluded.setdefault(trial, json.loads(path.read_text()))
            path.unlink(missing_ok=True)
        (trials / f"{trial}.lock").unlink(missing_ok=True)
        os.close(lock)
    return concluded
