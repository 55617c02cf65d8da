"""Runs one attempt at a trial in its own process, whose crash or hang does not harm the block.

The worker is forked, which takes a few milliseconds only. It reports events (commands that start
and end, observations) through a pipe; events before a crash are kept. This process adopts orphans,
so it finds everything that the worker leaves running, and kills it.
"""

import os
import pickle
import select
import signal
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchpaper.core import disk_space
from benchpaper.core.processes import brand, die_with_parent, kill_descendants, outputs
from benchpaper.hosts import cleanup
from benchpaper.hosts.agent.standstill import Watch
from benchpaper.hosts.endings import signal_name
from benchpaper.measure.worker import (
    HEADER,
    KILLED,
    STOP_GRACE_S,
    Task,
    interrupts_held_back,
    work,
)
from benchpaper.results.records import Command


@dataclass(frozen=True)
class Attempt:
    """The result of one attempt.

    `outcome` is "ok", "failed", "crashed" or "timed out". `output` holds what the trial and its
    servers printed. `commands` and `observations` are as the trial reported them: neither redacted
    nor checked. `cause` says what the machine lacked, if that made the attempt fail; then the
    experiment is not to blame. `shortage` describes a full disk, seen before the scratch folder of
    a failed attempt was removed. `stood_still_s` says for how long a process of the attempt, or the
    process that watched it, was stopped or frozen. `is_mistake` says that the trial's own code is
    wrong (`mistakes.is_mistake`). `provided` are the undeclared files that it sent to hosts.
    `disturbed` is what disturbed the machines meanwhile (`disturbances.between`).
    """

    name: str
    started: float
    seconds: float
    outcome: str
    message: str
    output: str
    commands: tuple[Command, ...]
    observations: tuple[dict[str, Any], ...]
    cause: str
    shortage: str
    stood_still_s: float
    is_mistake: bool = False
    provided: tuple[str, ...] = ()
    disturbed: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Alarm:
    """Calls `ring(seconds)` once if an attempt still runs after so many `seconds`."""

    seconds: float
    ring: Callable[[float], None]


@dataclass
class _Reports:
    """What the worker has reported so far: it may die between any two events."""

    commands: list[Command] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)
    provided: list[str] = field(default_factory=list)
    message: str = ""
    cause: str = ""
    is_mistake: bool = False
    done: bool = False

    def note(self, event: tuple[Any, ...]) -> None:
        """Take in one event, as `worker` sends it."""
        kind, *rest = event
        if kind == "command":
            self.commands.append(Command(rest[0], tuple(rest[1]), None))
        elif kind == "status":
            self.commands[rest[0]] = replace(self.commands[rest[0]], status=rest[1])
        elif kind == "observation":
            self.observations.append(rest[0])
        elif kind == "provided":
            self.provided.append(rest[0])
        elif kind == "error":
            self.message, self.cause, self.is_mistake = rest
        else:
            self.done = True

    def attempt(
        self, scratch: Path, status: int, late: str, times: tuple[float, float, float]
    ) -> Attempt:
        """Return the attempt of a worker that ended with `status`, before its folder is removed.

        `late` says that it timed out, or is empty; `times` are (started, seconds, stood_still_s).
        """
        outcome, message, cause = self._conclusion(status, late)
        return Attempt(
            name=scratch.name,
            started=times[0],
            seconds=times[1],
            outcome=outcome,
            message=message,
            output=outputs(scratch),
            commands=tuple(self.commands),
            observations=tuple(self.observations),
            cause=cause,
            shortage=disk_space.shortage(scratch) if outcome != "ok" else "",
            stood_still_s=times[2],
            is_mistake=self.is_mistake and outcome == "failed",
            provided=tuple(self.provided),
        )

    def _conclusion(self, status: int, late: str) -> tuple[str, str, str]:
        """Return (outcome, message, cause)."""
        if late:
            return "timed out", late, self.cause
        if status < 0:
            cause = KILLED if status == -signal.SIGKILL else ""
            message = f"the trial's process was killed by {signal_name(-status)}"
            return "crashed", message, cause
        if not self.done and not self.message:
            message = f"the trial's process ended with status {status} without a word"
            return "crashed", message, self.cause
        if not self.done:
            return "failed", self.message, self.cause
        if not self.observations:
            return "failed", "the trial yielded no observation", self.cause
        return "ok", self.message, self.cause


def attempt(
    task: Task,
    scratch_root: Path,
    kill: Callable[[Collection[int]], None] = kill_descendants,
    alarm: Alarm | None = None,
) -> Attempt:
    """Run a task once and return the result.

    `kill(spared)` ends all that this process has started except `spared` (`Keeper.kill`). Errors of
    the trial never raise here. `KeyboardInterrupt` and the like pass through, after the worker has
    been killed. Fetch what the trial has left on remote hosts afterwards (`Fleet.conclude` with the
    attempt's `name`).
    """
    timeout_s = task.experiment.timeout_s
    scratch = Path(tempfile.mkdtemp(prefix="trial-", dir=scratch_root))
    cleanup.note_shared_memory(scratch, timeout_s + STOP_GRACE_S)
    read_end, write_end = os.pipe()
    reports, spared = _Reports(), [pid for link in task.links.values() for pid in link.processes]
    watch = Watch(spared)
    started, begin = time.time(), time.monotonic()
    parent = os.getpid()
    child = None
    try:
        with interrupts_held_back():  # until `child` is known
            child = os.fork()
            if child == 0:
                die_with_parent(parent)
                os.close(read_end)
                brand(cleanup.trial_mark(scratch_root.parent))
                work(task, scratch, write_end)
            os.close(write_end)
        limits = (begin, begin + timeout_s)
        timed_out = _receive(read_end, child, reports, limits, watch, alarm)
        seconds = time.monotonic() - begin
        if timed_out:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        child = None
        late = _late(timeout_s, watch.seconds) if timed_out else ""
        return reports.attempt(scratch, status, late, (started, seconds, watch.seconds))
    finally:
        os.close(read_end)
        if child is not None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        kill(spared)
        cleanup.clear(scratch)


def _receive(
    pipe: int,
    worker: int,
    reports: _Reports,
    limits: tuple[float, float],
    watch: Watch,
    alarm: Alarm | None,
) -> bool:
    """Take in events until the worker ends. Return True if time ran out first.

    `limits` are the times of the attempt's begin and of its deadline.

    The end of the pipe does not show that the worker has ended: a process that it forked and left
    behind holds the pipe open, too.
    """
    begin, deadline = limits
    buffer, watched = bytearray(), [pipe, os.pidfd_open(worker)]
    os.set_blocking(pipe, False)
    try:
        while True:
            now = time.monotonic()
            remaining = deadline - now
            quiet = min(remaining, begin + alarm.seconds - now) if alarm else remaining
            # Look even when time is over: it may have ended while this process could not look.
            ready = watch.wait(lambda seconds: select.select(watched, [], [], seconds)[0], quiet)
            if pipe in watched and not _read_all(pipe, buffer):
                watched.remove(pipe)
            _take_events(buffer, reports)
            if watched[-1] in ready:
                return False
            if remaining <= 0:
                return True
            if alarm and time.monotonic() >= begin + alarm.seconds:
                alarm.ring(time.monotonic() - begin)
                alarm = None
    finally:
        os.close(watched[-1])


def _read_all(pipe: int, buffer: bytearray) -> bool:
    """Add the content of the pipe to `buffer`. Return True if more may come."""
    try:
        while chunk := os.read(pipe, 1 << 20):
            buffer += chunk
    except BlockingIOError:
        return True
    return False


def _take_events(buffer: bytearray, reports: _Reports) -> None:
    """Note the complete events, and remove them from `buffer`."""
    while len(buffer) >= HEADER.size:
        (size,) = HEADER.unpack_from(buffer)
        if len(buffer) < HEADER.size + size:
            break
        reports.note(pickle.loads(bytes(buffer[HEADER.size : HEADER.size + size])))
        del buffer[: HEADER.size + size]


def _late(timeout_s: float, stood_still_s: float) -> str:
    """Return the message of an attempt that timed out."""
    still = f", and stood still for {stood_still_s:.0f} s of it" if stood_still_s else ""
    return f"did not end within {timeout_s:g} s{still}"
