"""Which process owns a run: its lock, and how its steps end when their Snakemake is gone."""

import os
from contextlib import ExitStack

from benchpaper.core import lock
from benchpaper.core.project import Project

# Variables with process ids: of `benchpaper run`, and of the Snakemake below it.
RUN = "BENCHPAPER_RUN"
STEPS_OF = "BENCHPAPER_STEPS_OF"

_locks = ExitStack()


def announce() -> None:
    """Tell the steps that this Snakemake starts its process id, so that they end with it."""
    os.environ[STEPS_OF] = str(os.getpid())


def hold_lock(project: Project) -> None:
    """Hold the run lock until this Snakemake ends, unless the `benchpaper run` above holds it."""
    if os.environ.get(RUN) == str(os.getppid()):
        return
    try:
        _locks.enter_context(lock.held(project.state / "run.lock", "snakemake"))
    except lock.Held as held:
        raise SystemExit(f"benchpaper: {held}") from None
