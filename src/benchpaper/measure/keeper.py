"""Keeps what a block's trials start together, so that none of it outlives them.

At the end of a trial, the block kills its descendants. If the block itself is killed, a second
process, the keeper, kills them: in the block's control group where the machine allows one, and by
their brand everywhere. It ends containers too, which may be a daemon's descendants. If the keeper
is killed as well, the next run sweeps up (`hosts.cleanup`).
"""

import os
import select
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Self

from benchpaper.core import control_group
from benchpaper.core.processes import adopt_orphans, descendants, kill_descendants, kill_marked
from benchpaper.hosts import cleanup

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Keeper:
    """Use it as a context manager around the trials of a block. `state` is the project's folder."""

    def __init__(self, state: Path):
        self._state = state
        self._before = control_group.present()
        self._group = control_group.make()
        self._note = cleanup.note_group(state, self._group) if self._group else None
        self._pid = 0

    def __enter__(self) -> Self:
        adopt_orphans()
        block = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _keep(block, self._state, self._note)
        if self._group:
            control_group.enter(self._group)
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        if self._group and self._before and self._note:
            # What is left is no trial's: a connection that was made again, say.
            control_group.dissolve(self._group, self._before)
            self._note.unlink()

    def kill(self, spared: Collection[int] = ()) -> None:
        """Kill what a trial has started, except the processes in `spared` and below them.

        A process that forks faster than its parent's children can be listed is still in the group.
        """
        spared = [*spared, self._pid]
        kill_descendants(spared)
        while self._group and (strays := control_group.others(self._group, _with_below(spared))):
            for pid in strays:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            kill_descendants(spared)  # reaps them


def _with_below(pids: Collection[int]) -> set[int]:
    return {*pids, *(below for pid in pids for below in descendants(pid))}


def _keep(block: int, state: Path, note: Path | None) -> NoReturn:
    """Wait for the end of the block's process, in this forked one; then kill what it left."""
    try:
        os.setsid()
        for ignored in IGNORED:
            signal.signal(ignored, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # its locks and pipes above all
        with suppress(ProcessLookupError):
            end = os.pidfd_open(block)
            if os.getppid() == block:
                select.select([end], [], [])
        if note:
            cleanup.remove_group(note)
        kill_marked(cleanup.trial_mark(state))
        cleanup.end_containers(state)
    finally:
        os._exit(0)
