"""Starts programs through a small process, where a fork of this one takes long: in guests.

The small process (`guests/starter.c`) makes them children of this one, so that everything else is
as with `subprocess`. Standard library only, because it is part of the agent.
"""

import errno
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import IO

from benchpaper.core.processes import wait

REQUEST, ANSWER = struct.Struct("=III"), struct.Struct("=ii")


Output = IO[bytes] | FileIO


def find(program: str, variables: Mapping[str, str]) -> str | None:
    """Return the path of a program. If PATH leads to none, exec says why.

    To let exec try each folder of PATH costs a guest milliseconds.
    """
    return program if "/" in program else shutil.which(program, path=variables.get("PATH"))


class Started:
    """A process that a `Starter` has started: as much of `subprocess.Popen` as hosts use."""

    def __init__(self, args: Sequence[str], pid: int, stdout: Output, stderr: Output):
        self.args, self.pid, self.stdout, self.stderr = args, pid, stdout, stderr
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._look(os.WNOHANG)

    def _look(self, options: int) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # the end of the session killed and reaped it
                self.returncode = -signal.SIGKILL
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None:
            return wait(self, timeout)
        status = self._look(0)
        assert status is not None
        return status

    def terminate(self) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)


class Starter:
    """A running small process; `program` is its path."""

    def __init__(self, program: Path):
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen([str(program)], stdin=theirs.fileno())
        self._null = os.open(os.devnull, os.O_RDONLY)

    def start(
        self,
        path: str,
        argv: Sequence[str],
        variables: Mapping[str, str],
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
    ) -> Started:
        """Start a program in a process group of its own, as `subprocess.Popen` does.

        `stdout` and `stderr` are files, or both `subprocess.PIPE`. Raises `OSError`.
        """
        if isinstance(stdout, int) or isinstance(stderr, int):
            return self._start_with_pipes(path, argv, variables)
        pid = self._ask(path, argv, variables, stdout.fileno(), stderr.fileno())
        return Started(argv, pid, stdout, stderr)

    def _start_with_pipes(
        self, path: str, argv: Sequence[str], variables: Mapping[str, str]
    ) -> Started:
        (out, out_writes), (err, err_writes) = os.pipe(), os.pipe()
        streams = [FileIO(number) for number in (out, err)]
        try:
            pid = self._ask(path, argv, variables, out_writes, err_writes)
        except BaseException:
            for stream in streams:
                stream.close()
            raise
        finally:
            os.close(out_writes)
            os.close(err_writes)
        return Started(argv, pid, streams[0], streams[1])

    def _ask(
        self, path: str, argv: Sequence[str], variables: Mapping[str, str], out: int, err: int
    ) -> int:
        texts = [path, *argv, *(f"{name}={value}" for name, value in variables.items())]
        words = [os.fsencode(text) for text in texts]
        if any(b"\0" in word for word in words):
            raise ValueError("embedded null byte")
        data = b"".join(word + b"\0" for word in words)
        head = REQUEST.pack(len(data), len(argv), len(variables))
        try:
            socket.send_fds(self._socket, [head], [self._null, out, err])
            self._socket.sendall(data)
            answer = self._socket.recv(ANSWER.size, socket.MSG_WAITALL)
        except ConnectionError:
            answer = b""
        if len(answer) < ANSWER.size:
            raise OSError(errno.ESRCH, "the process that starts programs has ended")
        pid, error = ANSWER.unpack(answer)
        if error:
            if pid > 0:
                os.waitpid(pid, 0)
            raise OSError(error, os.strerror(error), path)
        return pid
