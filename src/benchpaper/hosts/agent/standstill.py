"""Notices that a trial's processes stood still.

A signal or a debugger may have stopped them, or something froze them together with the watcher.

A look reads the states of all processes below this one. It costs some tenths of a millisecond, so
there is one per second until something is stopped. Stops shorter than `LEAST_S` do not count,
because experiments stop servers on purpose. If this process itself stood still, a wait ended late.
Lateness that a queue for a CPU or the hypervisor explains does not count: a busy machine is not a
standstill. This module uses the standard library only, because target hosts run it too.
"""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from benchpaper.core.processes import descendants

LEAST_S = 1.0
EVERY_S, EVERY_WHILE_STOPPED_S = 1.0, 0.05
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
Answer = TypeVar("Answer")


class Watch:
    """Watches the processes below this one from now on, except those in `spared`."""

    def __init__(self, spared: Iterable[int] = ()):
        self._spared = set(spared)
        self._still_s, self._stolen_s = 0.0, _stolen_s()
        self._since: float | None = None  # when something was first seen stopped
        self._look_at = time.monotonic() + EVERY_S

    def wait(self, wait: Callable[[float], Answer], seconds: float) -> Answer:
        """Return the result of `wait(seconds, or less)`, and look when it is time."""
        seconds = max(0.0, min(seconds, self._look_at - time.monotonic()))
        begin, queued = time.monotonic(), _queued_s()
        answer = wait(seconds)
        late = time.monotonic() - begin - seconds
        if late > LEAST_S:
            stolen, self._stolen_s = self._stolen_s, _stolen_s()
            self._still_s += counted(late, _queued_s() - queued, self._stolen_s - stolen)
        if time.monotonic() >= self._look_at:
            self._look()
        return answer

    def _look(self) -> None:
        now = time.monotonic()
        if any(map(_is_stopped, descendants(os.getpid(), self._spared))):
            self._since = self._since or now
        elif self._since is not None:
            self._still_s += self._stopped_s(now)
            self._since = None
        self._look_at = now + (EVERY_S if self._since is None else EVERY_WHILE_STOPPED_S)

    def _stopped_s(self, now: float) -> float:
        stopped = 0.0 if self._since is None else now - self._since
        return stopped if stopped > LEAST_S else 0.0

    @property
    def seconds(self) -> float:
        """For how many seconds something has stood still so far."""
        return self._still_s + self._stopped_s(time.monotonic())


def counted(late: float, queued: float, stolen: float) -> float:
    """Return the seconds of a wait's lateness that no queue for a CPU or hypervisor explains."""
    still = late - queued - stolen
    return still if still > LEAST_S else 0.0


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except OSError:
        return False


def _queued_s() -> float:
    """Return for how long this thread waited for a CPU: always, if the kernel does not count."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return time.monotonic()


def _stolen_s() -> float:
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / CLOCK_TICKS
