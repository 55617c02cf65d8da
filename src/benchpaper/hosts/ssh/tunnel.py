"""A process of this machine with the agent's main process at its other end."""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchpaper.core.printable import printable_line
from benchpaper.core.processes import die_with_parent
from benchpaper.hosts.agent import wire
from benchpaper.hosts.agent.main import GREETING
from benchpaper.hosts.ssh import answers

BEAT_S = 2.0
CLOSING_S = 1.0
MAX_LINE_BYTES = 1 << 20  # of a message of the agent's main process
KEPT_ERROR_BYTES, LONGEST_QUOTE = 8192, 500


class Tunnel(ABC):
    """A running process behind which the agent runs; making the object starts it.

    It runs in a new folder below `state`, for sockets and logs. `command(folder)` returns its
    command line. It inherits `descriptors`, and receives `data` before any order.
    """

    closing_s = CLOSING_S  # for the process to end by itself

    def __init__(
        self,
        state: Path,
        command: Callable[[Path], list[str]],
        data: bytes,
        descriptors: Sequence[int] = (),
    ):
        state.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=state))
        self._answers, self.closed = b"", False
        self._process = subprocess.Popen(
            command(self._folder),
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=descriptors,
            preexec_fn=partial(die_with_parent, os.getpid()),
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._errors = _Errors(self._process.stderr)
        self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        threading.Thread(target=_feed, args=(self._stdin, data), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def order(self, order: dict[str, Any]) -> None:
        """Send an order to the agent's main process. Raises `OSError` when it is gone."""
        self._check_open()
        self._stdin.write(json.dumps(order).encode() + b"\n")

    def read_answer(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message of the agent's main process, checked.

        None means that `seconds` are over or that the agent has ended. Skip what a login shell
        prints before. Raises `wire.Malformed`.
        """
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0:
            line, newline, rest = self._answers.partition(b"\n")
            if newline:
                self._answers = rest
                if line.startswith(GREETING.encode()):
                    return answers.message(wire.parse(line[len(GREETING) :]))
                continue
            if len(line) > MAX_LINE_BYTES:
                raise wire.Malformed(f"a line of more than {MAX_LINE_BYTES} bytes")
            if not select.select([self._stdout], [], [], remaining)[0]:
                return None
            data = os.read(self._stdout.fileno(), 1 << 16)
            if not data:
                return None
            self._answers += data
        return None

    @abstractmethod
    def forward(self, remote_socket: str, timeout: float) -> str:
        """Forward to the agent's socket. Return why that fails, or an empty string."""

    @abstractmethod
    def why_no_answer(self, waited_s: float) -> str:
        """Return the reason for the missing answer, with the next step."""

    def last_words(self) -> str:
        """Return what the machine said as it went down, or "" if that cannot be known."""
        return ""

    def connect(self, timeout: float) -> socket.socket:
        """Return a new socket to the agent. Raises `OSError` when the connection is lost."""
        self._check_open()
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            # By descriptor, because the path may be too long for the address of a socket.
            connection.connect(f"/proc/self/fd/{self._directory}/agent")
        except OSError:
            connection.close()
            raise
        return connection

    def _check_open(self) -> None:
        if self.closed:
            raise BrokenPipeError("the connection is closed")

    def close(self) -> None:
        """End the connection, and with it all processes behind it. A second time does nothing."""
        if self.closed:
            return
        self.closed = True
        with suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(self.closing_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        os.close(self._directory)
        shutil.rmtree(self._folder, ignore_errors=True)


class _Errors:
    """The first bytes of what the process and the host say on standard error."""

    def __init__(self, stream: IO[bytes]):
        self._stream, self._kept = stream, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream, suppress(OSError):
            while data := self._stream.read(1 << 16):
                self._kept += data[: KEPT_ERROR_BYTES - len(self._kept)]

    def text(self) -> str:
        """Return it as one line, with control characters shown."""
        self._thread.join(0.5)  # the process has ended, unless it hangs
        return printable_line(" ".join(self._kept.decode(errors="replace").split()), LONGEST_QUOTE)


def _feed(stdin: IO[bytes], data: bytes) -> None:
    """Send `data`, then a heartbeat for as long as this process lives and is not stopped."""
    with suppress(OSError, ValueError):
        while True:
            view = memoryview(data)
            while view:
                view = view[stdin.write(view) :]
            data = b"\n"
            time.sleep(BEAT_S)
