"""Runs one attempt at a trial in a process of its own, which may crash or hang without taking the block along.

The worker is forked, so that it costs a few milliseconds. It streams what happens (commands started and ended,
observations) through a pipe; what it had told before a crash is kept. Whatever it leaves running is found by
descent (this process adopts orphans) and killed.
"""

import errno
import faulthandler
import os
import pickle
import re
import select
import signal
import struct
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from benchpaper.core import disk_space, environment
from benchpaper.core.processes import die_with_parent, kill_descendants, outputs
from benchpaper.hosts import HostError, HostLost, cleanup
from benchpaper.hosts.agent.standstill import Watch
from benchpaper.hosts.local import signal_name

STOP_GRACE_S = 5.0  # what a timed-out trial may still make until it is killed
HEADER = struct.Struct("<Q")
NO_CONNECTION, NO_MEMORY = "the connection to a host was lost", "no memory was left"
KILLED = "a process was killed from outside, perhaps for want of memory"
OUT_OF_MEMORY = re.compile(re.escape(os.strerror(errno.ENOMEM)), re.I)  # in a program's words, too
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Attempt:
    """What became of one try: `outcome` is "ok", "failed", "crashed" or "timed out"."""

    name: str
    started: float
    seconds: float = 0.0
    outcome: str = "failed"
    message: str = ""
    output: str = (
        ""  # what the trial and the servers it started printed; worth keeping when it failed
    )
    commands: list = field(default_factory=list)
    observations: list = field(default_factory=list)
    cause: str = (
        ""  # what the machine lacked, where that made it fail; the experiment is not to blame then
    )
    shortage: str = (
        ""  # where it failed: the words for a disk that was full before its scratch folder went
    )
    stood_still_s: float = (
        0.0  # for how long a process of it, or the one that watched it, was stopped or frozen
    )


def attempt(experiment, cell, seed, scale, links, programs, scratch_root):
    """Run `experiment`'s trial of `cell` once and return the `Attempt`.

    `links` maps roles to connected hosts; `programs` is the folder of compiled programs. Never raises for what the
    trial does; `KeyboardInterrupt` and the like pass through, after the worker has been killed. What a trial has left
    on a remote host is fetched afterwards (`Fleet.conclude` with the attempt's `name`).
    """
    scratch = Path(tempfile.mkdtemp(prefix="trial-", dir=scratch_root))
    cleanup.note_shared_memory(scratch, experiment.timeout_s + STOP_GRACE_S)
    read_end, write_end = os.pipe()
    found = Attempt(scratch.name, started=time.time())
    spared = [pid for link in links.values() for pid in link.processes]
    begin = time.monotonic()
    parent = os.getpid()
    child = None
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)  # until it is known whom to kill
        child = os.fork()
        if child == 0:
            die_with_parent(parent)
            os.close(read_end)
            _work(experiment, cell, seed, scale, links, programs, scratch, write_end)
        os.close(write_end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
        timed_out = _receive(read_end, child, found, begin + experiment.timeout_s, Watch(spared))
        found.seconds = time.monotonic() - begin
        if timed_out:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        child = None
        _conclude(found, status, timed_out, experiment.timeout_s)
        found.output = outputs(scratch)
        found.shortage = disk_space.shortage(scratch) if found.outcome != "ok" else ""
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)  # where there could be no fork
        os.close(read_end)
        if child is not None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        kill_descendants(spared)
        cleanup.clear(scratch)
    return found


def _work(experiment, cell, seed, scale, links, programs, scratch, pipe):
    """The worker: never returns."""
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
        log = os.open(scratch / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        # Line by line, so that a crash loses none of it.
        sys.stdout, sys.stderr = (
            open(number, "w", buffering=1, errors="replace", closefd=False) for number in (1, 2)
        )
        faulthandler.enable(2)  # a crash says where
        environment.replace(
            environment.clean(scratch)
        )  # for the clients that measure within this process
        tempfile.tempdir = str(scratch)  # what a trial puts in a temporary folder here goes with it
        site = _site(
            experiment, seed, scale, links, programs, scratch, lambda *event: _send(pipe, event)
        )
        for observation in experiment._trial(cell, site):
            _send(pipe, ("observation", observation))
        _send(pipe, ("done",))
        os._exit(0)
    except BaseException as error:
        traceback.print_exc()
        known = isinstance(error, (HostError, RuntimeError, AssertionError)) and str(error)
        text = str(error) if known else f"{_where(error)}{type(error).__name__}: {error}"
        _send(pipe, ("error", text, _lacking(error)))
        os._exit(1)


def _site(experiment, seed, scale, links, programs, scratch, tell):
    """Return what a trial gets as `site`: a host per role, `counts`, `seed` and `programs`."""
    number = 0

    def on_command(host, argv):
        nonlocal number
        mine, number = number, number + 1
        tell("command", host, argv)
        return lambda status: tell("status", mine, status)

    # A host goes by its role in commands, errors and logs: the site file's names are nobody else's business.
    seconds = experiment.timeout_s + STOP_GRACE_S
    hosts = {role: link.host(role, scratch, seconds, on_command) for role, link in links.items()}
    return TrialSite(
        **hosts, counts=SimpleNamespace(**scale.counts), seed=seed, programs=Path(programs)
    )


class TrialSite(SimpleNamespace):
    """What a trial gets as `site`: a host per role, `counts` of the scale, `seed`, and `programs`, the folder of what
    was compiled."""

    def __getattr__(self, name):
        raise AttributeError(f'site has no "{name}" (there are: {", ".join(vars(self))})')


def _where(error):
    """Return `file:line: ` of the deepest frame of a mistake in an experiment."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/experiments/" in frame.filename
    ]
    return (
        f"{frames[-1].filename[frames[-1].filename.rindex('/experiments/') + 1 :]}:{frames[-1].lineno}: "
        if frames
        else ""
    )


def _lacking(error: BaseException) -> str:
    """Return what the machine lacked when `error` ended a trial; empty where the trial itself is to blame."""
    if isinstance(error, HostLost):
        return NO_CONNECTION
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
        return NO_MEMORY
    # A server that a trial stops on purpose does not raise this.
    return KILLED if isinstance(error, HostError) and "signal SIGKILL" in str(error) else ""


def _send(pipe, event):
    data = pickle.dumps(event, protocol=5)
    with open(pipe, "wb", closefd=False) as file:
        file.write(HEADER.pack(len(data)) + data)


def _receive(pipe, worker, found, deadline, watch):
    """Take in events until the worker ends. Return whether time ran out first. That the pipe closes does not tell: a
    process that the worker forked and left behind holds it open too."""
    buffer, watched = bytearray(), [pipe, os.pidfd_open(worker)]
    os.set_blocking(pipe, False)
    try:
        while True:
            remaining = deadline - time.monotonic()
            # Once more when time is over: it may have ended while this process was kept from looking.
            ready = watch.wait(
                lambda seconds: select.select(watched, [], [], seconds)[0], remaining
            )
            if pipe in watched and not _read_all(pipe, buffer):
                watched.remove(pipe)
            _take_events(buffer, found)
            if watched[-1] in ready:
                return False
            if remaining <= 0:
                return True
    finally:
        found.stood_still_s = watch.seconds
        os.close(watched[-1])


def _read_all(pipe, buffer):
    """Add to `buffer` what is in the pipe. Return whether more may come."""
    try:
        while chunk := os.read(pipe, 1 << 20):
            buffer += chunk
    except BlockingIOError:
        return True
    return False


def _take_events(buffer, found):
    """Note the events that are whole, and take them from `buffer`."""
    while len(buffer) >= HEADER.size:
        (size,) = HEADER.unpack_from(buffer)
        if len(buffer) < HEADER.size + size:
            break
        _note(found, pickle.loads(bytes(buffer[HEADER.size : HEADER.size + size])))
        del buffer[: HEADER.size + size]


def _note(found, event):
    kind, *rest = event
    if kind == "command":
        found.commands.append({"host": rest[0], "argv": rest[1], "status": None})
    elif kind == "status":
        found.commands[rest[0]]["status"] = rest[1]
    elif kind == "observation":
        found.observations.append(rest[0])
    elif kind == "error":
        found.message, found.cause = rest
    else:
        found.outcome = "ok"


def _conclude(found, status, timed_out, timeout_s):
    if timed_out:
        still = (
            f", and stood still for {found.stood_still_s:.0f} s of it"
            if found.stood_still_s
            else ""
        )
        found.outcome, found.message = "timed out", f"did not end within {timeout_s:g} s{still}"
    elif status < 0:
        found.outcome = "crashed"
        found.message = f"the trial's process was killed by {signal_name(-status)}"
        found.cause = KILLED if status == -signal.SIGKILL else ""
    elif found.outcome == "ok" and not found.observations:
        found.outcome, found.message = "failed", "the trial yielded no observation"
    elif found.outcome != "ok" and not found.message:
        found.outcome, found.message = (
            "crashed",
            f"the trial's process ended with status {status} without a word",
        )
