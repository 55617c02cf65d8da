"""One execution of Snakemake below `benchpaper run`, and how it ends."""

import contextlib
import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchpaper.core import disk_space, environment, events
from benchpaper.core.processes import descendants, die_with_parent
from benchpaper.core.project import Project
from benchpaper.paper import kernel_server
from benchpaper.workflow.ownership import RUN
from benchpaper.workflow.progress import ProgressDisplay
from benchpaper.workflow.records import Failure

POLL_S = 0.1
STOP_GRACE_S = 2.0
LAST_WORDS_CHARACTERS = 400
INTERRUPTED = 130  # exit status


class Execution:
    """Runs a Snakemake command line, and shows the events of its steps on a display."""

    def __init__(self, project: Project, command: list[str], display: ProgressDisplay) -> None:
        self._project, self._command, self._display = project, command, display
        self._log = project.state / "snakemake.log"
        self._events_path = project.state / "events.jsonl"

    def run(self) -> int:
        """Run to the end. Return Snakemake's exit status, or 130 after an interrupt."""
        with kernel_server.serving(self._project) as server:
            return self._run(server)

    def _run(self, server: dict[str, str]) -> int:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._events_path.unlink(missing_ok=True)
        reader = events.Reader(self._events_path)
        own = {events.VARIABLE: str(self._events_path), RUN: str(os.getpid())}
        with open(self._log, "wb") as log:
            process = subprocess.Popen(
                self._command,
                cwd=self._project.root,
                env=environment.of_snakemake(**own, **server),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
            try:
                with self._display.live():
                    while process.poll() is None:
                        time.sleep(POLL_S)
                        self._display.show(reader.new())
                    self._display.show(reader.new())
            except KeyboardInterrupt:
                _stop(process)
                self._display.show(reader.new())
                return INTERRUPTED
            except BaseException:  # for example, standard output closed
                _stop(process)
                raise
        if process.returncode and not self._display.failures:
            self._display.failures.append(Failure("snakemake", _last_words(self._log)))
        if process.returncode:
            self._display.failures = self._with_one_disk_failure(self._display.failures)
        return process.returncode

    def _with_one_disk_failure(self, failures: list[Failure]) -> list[Failure]:
        """Return the failures with one line about a full disk, however many steps it ended."""
        starved = [failure for failure in failures if disk_space.full_disk_text(failure.error)]
        if full := disk_space.complaint(self._project):
            return [Failure("disk", full)]
        if not starved:
            return failures
        first = starved[0]
        if disk_space.NEXT_STEP not in first.error:
            first = replace(first, error=f"{first.error}; {disk_space.NEXT_STEP}")
        return [first, *(failure for failure in failures if failure not in starved)]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End Snakemake and all processes below it, even if Ctrl-C comes again.

    Force loses nothing, because finished trials are in the journals.
    """
    for pid in [process.pid, *descendants(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_GRACE_S)
    for pid in [*descendants(process.pid), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _last_words(log: Path) -> str:
    """Return Snakemake's output from its first complaint on, as one line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    first = next(
        (n for n, line in enumerate(lines) if re.search(r"rror|Exception|^benchpaper:", line)),
        len(lines) - 1,
    )
    return " ".join(lines[first:])[:LAST_WORDS_CHARACTERS] or "it said nothing"
