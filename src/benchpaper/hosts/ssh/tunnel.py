"""The `ssh` process to a host, with the agent's main process at its other end.

The user's configuration, SSH agent, jump hosts, and known hosts apply. ssh always checks host keys.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchpaper.core.printable import printable_line
from benchpaper.core.processes import die_with_parent
from benchpaper.hosts.agent import wire
from benchpaper.hosts.agent.main import GREETING
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh import answers, boot

CONNECT_S = 10  # to reach the SSH server
BEAT_S = 2.0
CLOSING_S = 1.0
MAX_LINE_BYTES = 1 << 20  # of a message of the agent's main process
KEPT_ERROR_BYTES, LONGEST_QUOTE = 8192, 500
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": CONNECT_S,
    "ServerAliveInterval": 5,
    "ServerAliveCountMax": 3,
    "ControlMaster": "yes",
    "ControlPath": "master",
    "ControlPersist": "no",
    "ForwardX11": "no",
    "ForwardAgent": "no",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
    "ExitOnForwardFailure": "no",
    "StreamLocalBindUnlink": "yes",
    "Compression": "no",
}


class Tunnel:
    """A running `ssh` process; making the object starts to connect.

    `entry` is the host in the site file. `root` is the project's folder, and `state` the folder for
    sockets and logs. The agent ends everything after `silence` seconds without a heartbeat.
    """

    def __init__(self, root: Path, state: Path, entry: HostEntry, silence: float):
        self._root, self._entry = root, entry
        state.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=state))
        self._answers, self.closed = b"", False
        self._ssh = subprocess.Popen(
            [*self._command(), boot.command(entry.python)],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            preexec_fn=partial(die_with_parent, os.getpid()),
            start_new_session=True,
        )
        assert self._ssh.stdin and self._ssh.stdout and self._ssh.stderr
        self._stdin, self._stdout = self._ssh.stdin, self._ssh.stdout
        self._errors = _Errors(self._ssh.stderr)
        self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        data = boot.agent(scratch=entry.scratch, silence=silence)
        threading.Thread(target=_feed, args=(self._stdin, data), daemon=True).start()

    def _command(self) -> list[str]:
        options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
        if config := self._entry.ssh_config:
            options += ["-F", str(self._root / config)]
        if user := self._entry.user:
            options += ["-l", user]
        if port := self._entry.port:
            options += ["-p", str(port)]
        return ["ssh", *options, "-T", self._destination]

    @property
    def _destination(self) -> str:
        return self._entry.ssh or self._entry.address

    @property
    def pid(self) -> int:
        return self._ssh.pid

    @property
    def running(self) -> bool:
        return self._ssh.poll() is None

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

    def forward(self, remote_socket: str, timeout: float) -> str:
        """Forward to the agent's socket. Return why that fails, or an empty string."""
        options = [f"-o{name}={OPTIONS[name]}" for name in ("ControlPath", "StreamLocalBindUnlink")]
        command = ["ssh", *options, "-O", "forward", "-L", f"./agent:{remote_socket}"]
        try:
            done = subprocess.run(
                [*command, self._destination],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return f"ssh did not forward to the agent within {timeout:g} s"
        said = printable_line(done.stderr, LONGEST_QUOTE)
        return f"ssh could not forward to the agent: {said}" * bool(done.returncode)

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
            self._ssh.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            self._ssh.kill()
            self._ssh.wait()
        self._stdout.close()
        os.close(self._directory)
        shutil.rmtree(self._folder, ignore_errors=True)

    # ---- what to tell the user when the host does not answer ----

    def why_no_answer(self, waited_s: float) -> str:
        """Return the reason that ssh gives for the missing answer, with the next step."""
        with suppress(subprocess.TimeoutExpired):
            self._ssh.wait(0.5)
        said = self._errors.text()
        by_hand = " ".join(["ssh", *self._by_hand()])
        if "IDENTIFICATION HAS CHANGED" in said:
            return (
                "its host key is not the known one: find out why, and only then correct "
                f"your known_hosts ({by_hand})"
            )
        if "Host key verification failed" in said or "host key is known" in said:
            return (
                f'its host key is not known: connect once by hand ("{by_hand}"), '
                "compare the fingerprint, and accept it"
            )
        if "Permission denied" in said:
            who = f'user "{self._entry.user}"' if self._entry.user else "you"
            return f'it did not let {who} in: see that "{by_hand}" works without a password'
        if said:
            return f'ssh said: {said}; see that "{by_hand}" works'
        if self.running:
            return f'it did not answer within {waited_s:g} s; see that "{by_hand}" works'
        return f'the connection ended without a word; see that "{by_hand}" works'

    def _by_hand(self) -> list[str]:
        """Return the words that a user types after `ssh` to reach the host."""
        entry, destination = self._entry, self._destination
        words = ["-F", entry.ssh_config] if entry.ssh_config else []
        words += ["-p", str(entry.port)] if entry.port else []
        return [*words, f"{entry.user}@{destination}" if entry.user else destination]


class _Errors:
    """What ssh and the host say on standard error: its first bytes, however much they say."""

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
        self._thread.join(0.5)  # ssh has ended, unless it hangs
        return printable_line(" ".join(self._kept.decode(errors="replace").split()), LONGEST_QUOTE)


def _feed(stdin: IO[bytes], data: bytes) -> None:
    """Send the agent, then a heartbeat for as long as this process lives and is not stopped."""
    with suppress(OSError, ValueError):
        while True:
            view = memoryview(data)
            while view:
                view = view[stdin.write(view) :]
            data = b"\n"
            time.sleep(BEAT_S)
