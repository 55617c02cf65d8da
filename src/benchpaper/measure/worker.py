"""The worker of an attempt: a forked process that runs the trial and reports events by a pipe."""

import errno
import faulthandler
import json
import os
import pickle
import re
import signal
import struct
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from benchpaper import results
from benchpaper.core import environment, excerpt
from benchpaper.core.deployment import Software
from benchpaper.core.errors import did_you_mean
from benchpaper.core.printable import printable_line
from benchpaper.design.declarations import Cell, Scale
from benchpaper.design.inputs import Places
from benchpaper.design.replication import PlannedBlock
from benchpaper.design.spec import Experiment
from benchpaper.hosts import HostError, HostLost, Link, OnEnd
from benchpaper.measure import mistakes
from benchpaper.measure.inside import Recorder, enter
from benchpaper.measure.provisions import Provider, Provisions

STOP_GRACE_S = 5.0  # until a trial that timed out is dead, it may still make shared memory
SHOWN_BYTES = 200  # of a text that is no JSON
HEADER = struct.Struct("<Q")
NO_CONNECTION, NO_MEMORY = "the connection to a host was lost", "no memory was left"
KILLED = "a process was killed from outside, perhaps for want of memory"
OUT_OF_MEMORY = re.compile(re.escape(os.strerror(errno.ENOMEM)), re.I)  # programs print it, too
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Task:
    """What one attempt runs: a cell of an experiment, and what its trial gets as `site`.

    `links` maps roles to connected hosts; `programs` is the folder of compiled programs; `block` is
    that of the trial; `provisions` holds the inputs, and `software` the environments of roles.
    """

    experiment: Experiment
    cell: Cell
    seed: int
    scale: Scale
    links: Mapping[str, Link]
    programs: Path
    block: PlannedBlock = field(default_factory=lambda: PlannedBlock(0, 0))
    provisions: Provisions = field(default_factory=Provisions)
    software: Mapping[str, Software] = field(default_factory=dict)


def work(task: Task, scratch: Path, pipe: int) -> NoReturn:
    """Run the trial in the worker, and end it."""
    try:
        _enter(scratch)

        def report(*event: Any) -> None:
            _send(pipe, event)

        site = _site(task, scratch, report)
        for observation in mistakes.observations(task.experiment, task.cell, site):
            report("observation", observation)
        report("done")
        os._exit(0)
    except BaseException as error:
        traceback.print_exc()
        _send(pipe, ("error", _text(error), _lacking(error), mistakes.is_mistake(error)))
        os._exit(1)


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM after the block, and not within it.

    The mask alone holds back nothing where another thread takes the signal: Python then runs the
    handler in the main thread all the same. After a fork that may be inside a callback, where the
    exception would be lost.
    """
    early: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in INTERRUPTS:
            handlers[number] = signal.signal(number, lambda taken, _: early.append(taken))
    signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
        for taken in early:
            signal.raise_signal(taken)


def _enter(scratch: Path) -> None:
    """Give the worker its own session, signals, output, environment and temporary folder."""
    os.setsid()
    os.umask(0o077)  # whatever the user's is: on every host alike
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    log = os.open(scratch / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # Line by line, so that a crash loses nothing. They stay open as long as the worker lives.
    sys.stdout, sys.stderr = (
        open(number, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
        for number in (1, 2)
    )
    faulthandler.enable(2)  # a crash says where
    environment.replace(environment.clean(scratch))  # for clients that measure in this process
    tempfile.tempdir = str(scratch)  # the trial's temporary files disappear with its scratch folder


def _site(task: Task, scratch: Path, report: Callable[..., None]) -> "TrialSite":
    """Connect the roles to their hosts, and return what a trial gets as `site`."""
    commands = 0

    def on_command(host: str, argv: list[str]) -> OnEnd:
        nonlocal commands
        number, commands = commands, commands + 1
        report("command", host, argv)
        return lambda status: report("status", number, status)

    # Log roles, not host names, for privacy.
    seconds = task.experiment.timeout_s + STOP_GRACE_S
    hosts, recorder = {}, Recorder(on_command)
    for role, link in task.links.items():
        host = link.host(role, scratch, seconds, recorder)
        if role in task.software:
            options = task.experiment.environments.options(role)
            host = enter(host, task.software[role], recorder, options)
        hosts[role] = Provider(host, task.provisions, report)
    return TrialSite(
        **hosts,
        counts=Counts(**task.scale.counts),
        seed=task.seed,
        block=task.block,
        programs=Path(task.programs),
        inputs=Places(task.provisions.inputs),
    )


class TrialSite(SimpleNamespace):
    """What a trial gets as `site`.

    It holds a host per role, `counts` of the scale, `seed`, `block` with its `number`, `level`, and
    a `seed` that all its cells share, `programs`, the folder of compiled programs, and `inputs`,
    which maps declared inputs to their places.
    """

    def __getattr__(self, name: str) -> NoReturn:
        known = vars(self)
        raise AttributeError(
            f'site has no "{name}"{did_you_mean(name, known)} (there are: {", ".join(known)})'
        )


class Counts(SimpleNamespace):
    """The counts of the scale, as attributes."""

    def __getattr__(self, name: str) -> NoReturn:
        known = vars(self)
        raise AttributeError(
            f'site.counts has no "{name}"{did_you_mean(name, known)} (there are: '
            f"{', '.join(known) or 'none'}); declare it as Scale(counts=dict({name}=...))"
        )


def _text(error: BaseException) -> str:
    """Return an error as the message of its attempt, with its place in the experiment."""
    ours = (HostError, RuntimeError, AssertionError, mistakes.WrongForm, results.InvalidObservation)
    if isinstance(error, ours) and str(error):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        text = printable_line(excerpt.head(error.doc.encode(), SHOWN_BYTES).strip()) or "nothing"
        return (
            f"{mistakes.place(error)}this is no JSON ({error.msg} in line {error.lineno}): {text}; "
            "let the program print JSON alone, and all else to stderr"
        )
    return f"{mistakes.place(error)}{type(error).__name__}: {error}"


def _lacking(error: BaseException) -> str:
    """Return what the machine lacked when `error` ended a trial; empty if the trial is to blame."""
    if isinstance(error, HostLost):
        return NO_CONNECTION
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
        return NO_MEMORY
    # A server that a trial stops on purpose does not raise this.
    return KILLED if isinstance(error, HostError) and "signal SIGKILL" in str(error) else ""


def _send(pipe: int, event: tuple[Any, ...]) -> None:
    data = pickle.dumps(event, protocol=5)
    with open(pipe, "wb", closefd=False) as file:
        file.write(HEADER.pack(len(data)) + data)
