"""The progress of a run: a bar of trials, and a line for each event that a step reports."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from benchpaper.core import output
from benchpaper.core.duration import duration
from benchpaper.workflow.records import Failure, TrialCount

SPEED_OVER_S = 600.0  # the past from which the bar estimates the remaining time
QUIET_STEPS = ("measure",)  # their trials have the bar


class ProgressDisplay:
    """Shows the events of a run's steps on a console, and collects the steps that failed.

    `finished` is {experiment: its trials, planned and done}.
    """

    def __init__(self, console: Console, finished: Mapping[str, TrialCount]) -> None:
        self.failures: list[Failure] = []
        self._console = console
        self._failed_attempts = self._failed_trials = 0
        self._current = ""
        self._said: set[tuple[str, str, str]] = set()  # (event, experiment, cell)
        self._total = sum(count.trials for count in finished.values())
        self._done = self._done_before = sum(count.done for count in finished.values())
        # The bar counts planned seconds, because a trial of one experiment can take a hundred times
        # as long as a trial of another.
        self._trial_seconds = {name: count.trial_seconds for name, count in finished.items()}
        total = sum(count.seconds for count in finished.values())
        done = sum(count.seconds_done for count in finished.values())
        self._progress = Progress(
            TextColumn("measuring"),
            BarColumn(),
            TextColumn("{task.description} trials"),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            speed_estimate_period=SPEED_OVER_S,
        )
        self._task = self._progress.add_task(self._counted(), total=total)
        self._progress.update(self._task, completed=done)

    def live(self) -> AbstractContextManager[object]:
        """Return a context that keeps the bar on the screen; it does nothing without a terminal."""
        if not output.interactive(self._console):
            return nullcontext()
        return Live(
            get_renderable=self._renderable,
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )

    def show(self, events: Iterable[dict[str, Any]]) -> None:
        """Show new events, oldest first."""
        for event in events:
            kind = event["event"]
            if kind == "start":
                self._current = f"{event['experiment']}, block {event['block']}: {event['cell']}"
            elif kind == "trial":
                self._trial(event)
            elif kind == "attempt":
                self._failed_attempts += 1
                self._say(f"attempt {event['number']} failed: {event['cell']}: {event['message']}")
            elif kind in ("given up", "late"):
                self._say_once(event)
            elif kind in ("waiting", "fetched", "reconnected", "damaged", "undeclared"):
                self._say(event["message"])
            elif kind == "step failed":
                self._fail(_step_name(event), event["error"])
            elif kind == "step" and event["name"] not in QUIET_STEPS:
                self._current = _step_name(event)
            elif kind == "step done" and event["name"] not in QUIET_STEPS:
                self._say(f"{_step_name(event)}: done")

    def _counted(self) -> str:
        return f"{self._done}/{self._total}"

    def _renderable(self) -> Group:
        lines: list[RenderableType] = [self._progress] if self._total > self._done_before else []
        if self._failed_attempts or self._failed_trials:
            counts = (
                f"failed attempts: {self._failed_attempts}, failed trials: {self._failed_trials}"
            )
            lines.append(Text(counts))
        return Group(*lines, Text(self._current, style="dim", overflow="ellipsis", no_wrap=True))

    def _trial(self, event: dict[str, Any]) -> None:
        self._done += 1
        self._failed_trials += event["state"] == "failed"
        self._progress.update(
            self._task,
            advance=self._trial_seconds[event["experiment"]],
            description=self._counted(),
        )
        is_tenth = self._done % max(1, self._total // 10) == 0
        if not output.interactive(self._console) and (is_tenth or self._done == self._total):
            left = self._progress.tasks[0].time_remaining if self._done < self._total else None
            self._say(
                f"{self._done} of {self._total} trials"
                + (f", about {duration(left)} left" if left else "")
            )

    def _fail(self, step: str, error: str) -> None:
        """Note a failure once, even if it ended several steps, as a lost host does."""
        if all(error != known.error for known in self.failures):
            self.failures.append(Failure(step, error))

    def _say_once(self, event: dict[str, Any]) -> None:
        """Say what is true of a cell in each block once for all blocks."""
        what = event["event"], event["experiment"], event["cell"]
        if what not in self._said:
            self._said.add(what)
            self._say(f"{event['experiment']}, {event['cell']}: {event['message']}")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)


def _step_name(event: dict[str, Any]) -> str:
    block = f", block {event['block']}" if "block" in event else ""
    return f"{event['name']} {event.get('experiment', '')}{block}".strip()
