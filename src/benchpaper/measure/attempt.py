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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchpaper.core import disk_space
from benchpaper.core.processes import brand, die_with_parent, kill_descendants, outputs
from benchpaper.design.declarations import Cell, Scale
from benchpaper.design.spec import Experiment
from benchpaper.hosts import Link, cleanup
from benchpaper.hosts.agent.standstill import Watch
from benchpaper.hosts.local import signal_name
from benchpaper.measure.worker import HEADER, INTERRUPTS, KILLED, STOP_GRACE_S, work


@dataclass
class Attempt:
    """The result of one attempt.

    `outcome` is "ok", "failed", "crashed" or "timed out". `output` holds what the trial and its
    servers printed. `cause` says what the machine lacked, if that made the attempt fail; then the
    experiment is not to blame. `shortage` describes a full disk, seen before the scratch folder of
    a failed attempt was removed. `stood_still_s` says for how long a process of the attempt, or the
    process that watched it, was stopped or frozen.
    """

    name: str
    started: float
    seconds: float = 0.0
    outcome: str = "failed"
    message: str = ""
    output: str = ""
    commands: list[dict[str, Any]] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)
    cause: str = ""
    shortage: str = ""
    stood_still_s: float = 0.0


def attempt(
    experiment: Experiment,
    cell: Cell,
    seed: int,
    scale: Scale,
    links: Mapping[str, Link],
    programs: Path,
    scratch_root: Path,
    kill: Callable[[Collection[int]], None] = kill_descendants,
) -> Attempt:
    """Run `experiment`'s trial of `cell` once and return the result.

    `links` maps roles to connected hosts; `programs` is the folder of compiled programs.
    `kill(spared)` ends all that this process has started except `spared` (`Keeper.kill`). Errors of
    the trial never raise here. `KeyboardInterrupt` and the like pass through, after the worker has
    been killed. Fetch what the trial has left on remote hosts afterwards (`Fleet.conclude` with the
    attempt's `name`).
    """
    scratch = Path(tempfile.mkdtemp(prefix="trial-", dir=scratch_root))
    cleanup.note_shared_memory(scratch, experiment.timeout_s + STOP_GRACE_S)
    read_end, write_end = os.pipe()
    result = Attempt(scratch.name, started=time.time())
    spared = [pid for link in links.values() for pid in link.processes]
    begin = time.monotonic()
    parent = os.getpid()
    child = None
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)  # until `child` is known
        child = os.fork()
        if child == 0:
            die_with_parent(parent)
            os.close(read_end)
            brand(cleanup.trial_mark(scratch_root.parent))
            work(experiment, cell, seed, scale, links, programs, scratch, write_end)
        os.close(write_end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
        timed_out = _receive(read_end, child, result, begin + experiment.timeout_s, Watch(spared))
        result.seconds = time.monotonic() - begin
        if timed_out:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        child = None
        _conclude(result, status, timed_out, experiment.timeout_s)
        result.output = outputs(scratch)
        result.shortage = disk_space.shortage(scratch) if result.outcome != "ok" else ""
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)  # in case that the fork failed
        os.close(read_end)
        if child is not None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        kill(spared)
        cleanup.clear(scratch)
    return result


def _receive(pipe: int, worker: int, result: Attempt, deadline: float, watch: Watch) -> bool:
    """Take in events until the worker ends. Return True if time ran out first.

    The end of the pipe does not show that the worker has ended: a process that it forked and left
    behind holds the pipe open, too.
    """
    buffer, watched = bytearray(), [pipe, os.pidfd_open(worker)]
    os.set_blocking(pipe, False)
    try:
        while True:
            remaining = deadline - time.monotonic()
            # Look even when time is over: it may have ended while this process could not look.
            ready = watch.wait(
                lambda seconds: select.select(watched, [], [], seconds)[0], remaining
            )
            if pipe in watched and not _read_all(pipe, buffer):
                watched.remove(pipe)
            _take_events(buffer, result)
            if watched[-1] in ready:
                return False
            if remaining <= 0:
                return True
    finally:
        result.stood_still_s = watch.seconds
        os.close(watched[-1])


def _read_all(pipe: int, buffer: bytearray) -> bool:
    """Add the content of the pipe to `buffer`. Return True if more may come."""
    try:
        while chunk := os.read(pipe, 1 << 20):
            buffer += chunk
    except BlockingIOError:
        return True
    return False


def _take_events(buffer: bytearray, result: Attempt) -> None:
    """Note the complete events, and remove them from `buffer`."""
    while len(buffer) >= HEADER.size:
        (size,) = HEADER.unpack_from(buffer)
        if len(buffer) < HEADER.size + size:
            break
        _note(result, pickle.loads(bytes(buffer[HEADER.size : HEADER.size + size])))
        del buffer[: HEADER.size + size]


def _note(result: Attempt, event: tuple[Any, ...]) -> None:
    kind, *rest = event
    if kind == "command":
        result.commands.append({"host": rest[0], "argv": rest[1], "status": None})
    elif kind == "status":
        result.commands[rest[0]]["status"] = rest[1]
    elif kind == "observation":
        result.observations.append(rest[0])
    elif kind == "error":
        result.message, result.cause = rest
    else:
        result.outcome = "ok"


def _conclude(result: Attempt, status: int, timed_out: bool, timeout_s: float) -> None:
    """Set the outcome by the worker's exit status and its events."""
    if timed_out:
        stood_still = result.stood_still_s
        still = f", and stood still for {stood_still:.0f} s of it" if stood_still else ""
        result.outcome = "timed out"
        result.message = f"did not end within {timeout_s:g} s{still}"
    elif status < 0:
        result.outcome = "crashed"
        result.message = f"the trial's process was killed by {signal_name(-status)}"
        result.cause = KILLED if status == -signal.SIGKILL else ""
    elif result.outcome == "ok" and not result.observations:
        result.outcome, result.message = "failed", "the trial yielded no observation"
    elif result.outcome != "ok" and not result.message:
        result.outcome = "crashed"
        result.message = f"the trial's process ended with status {status} without a word"
