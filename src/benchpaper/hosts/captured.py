"""Captures what a command prints, up to a bound.

`subprocess` would take in any amount, so that a program that prints its trace instead of a summary
fills the memory of the machine that measures. Standard library only: target hosts run it too.
"""

import os
import select
import subprocess
import time

from benchpaper.core.processes import wait
from benchpaper.hosts.starter import Started

MAX_BYTES = 48 << 20  # of stdout and stderr together, so that an agent's answer can hold them
CHUNK = 1 << 16


class TooMuchOutput(Exception):
    """A command printed more than `MAX_BYTES`."""


class Captured:
    """The output of a process whose stdout and stderr are pipes."""

    def __init__(self, process: subprocess.Popen[bytes] | Started):
        assert process.stdout and process.stderr
        self._process = process
        self._streams = (process.stdout, process.stderr)
        self._parts = {stream.fileno(): bytearray() for stream in self._streams}
        self._open = set(self._parts)
        # Not epoll, which needs more system calls: in guests each takes tens of microseconds.
        self._poll = select.poll()
        for descriptor in self._parts:
            self._poll.register(descriptor, select.POLLIN)

    def read(self, timeout: float) -> int:
        """Read until both pipes and the process have ended, and return its exit status.

        Raises `subprocess.TimeoutExpired` when `timeout` seconds pass, and `TooMuchOutput`.
        """
        end = time.monotonic() + timeout
        while self._open:
            ready = self._poll.poll(1e3 * max(0.0, end - time.monotonic()))
            for descriptor, _ in ready:
                self._take(descriptor)
            if sum(map(len, self._parts.values())) > MAX_BYTES:
                raise TooMuchOutput
            if not ready and time.monotonic() >= end:
                raise subprocess.TimeoutExpired(self._process.args, timeout)
        return wait(self._process, max(0.0, end - time.monotonic()))

    def _take(self, descriptor: int) -> None:
        if chunk := os.read(descriptor, CHUNK):
            self._parts[descriptor] += chunk
        else:
            self._open.discard(descriptor)
            self._poll.unregister(descriptor)

    @property
    def texts(self) -> tuple[str, str]:
        """(stdout, stderr) so far."""
        out, err = (_text(part) for part in self._parts.values())
        return out, err

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


def _text(data: bytes | bytearray) -> str:
    """Return output as Python's text mode reads it."""
    return data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
