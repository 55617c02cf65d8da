"""Captures what a command prints, up to a bound.

`subprocess` would take in any amount, so that a program that prints its trace instead of a summary
fills the memory of the machine that measures. Standard library only: target hosts run it too.
"""

import os
import selectors
import subprocess
import time

MAX_BYTES = 48 << 20  # of stdout and stderr together, so that an agent's answer can hold them
CHUNK = 1 << 16


class TooMuchOutput(Exception):
    """A command printed more than `MAX_BYTES`."""


class Captured:
    """The output of a process whose stdout and stderr are pipes."""

    def __init__(self, process: subprocess.Popen[bytes]):
        assert process.stdout and process.stderr
        self._process = process
        self._parts = {process.stdout: bytearray(), process.stderr: bytearray()}
        self._open = selectors.DefaultSelector()
        for stream in self._parts:
            self._open.register(stream, selectors.EVENT_READ)

    def read(self, timeout: float) -> None:
        """Read until both pipes and the process have ended.

        Raises `subprocess.TimeoutExpired` when `timeout` seconds pass, and `TooMuchOutput`.
        """
        end = time.monotonic() + timeout
        while self._open.get_map():
            ready = self._open.select(max(0.0, end - time.monotonic()))
            for key, _ in ready:
                self._take(key)
            if sum(map(len, self._parts.values())) > MAX_BYTES:
                raise TooMuchOutput
            if not ready and time.monotonic() >= end:
                raise subprocess.TimeoutExpired(self._process.args, timeout)
        self._process.wait(max(0.0, end - time.monotonic()))

    def _take(self, key: selectors.SelectorKey) -> None:
        stream = key.fileobj
        if chunk := os.read(key.fd, CHUNK):
            self._parts[stream] += chunk  # type: ignore[index]
        else:
            self._open.unregister(stream)

    @property
    def texts(self) -> tuple[str, str]:
        """(stdout, stderr) so far."""
        out, err = (_text(part) for part in self._parts.values())
        return out, err

    def close(self) -> None:
        self._open.close()
        for stream in self._parts:
            stream.close()


def _text(data: bytes | bytearray) -> str:
    """Return output as Python's text mode reads it."""
    return data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
