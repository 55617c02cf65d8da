"""Common parts of all servers: start on free ports, wait for an answer, explain failures."""

import json
import re
import secrets
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from benchpaper import Host, HostError, Process

TRIES = 4  # a free port may be taken before the server binds it
POLL_S, LONGEST_POLL_S = 0.02, 1.0
PATIENCE_S = 60.0  # a guest on a busy machine may need most of it to start a large program
# FATAL marks a line that says why a server ended, whatever follows; ERROR marks a possible reason.
FATAL = re.compile(r"(?<!non-)\b(fatal|panic|panicked|emerg|FTL)\b|^F\d{4} ", re.IGNORECASE)
ERROR = re.compile(r"\b(crit|critical|error|ERR)\b", re.IGNORECASE)
PORT_TAKEN = re.compile(
    r"address already in use|failed to listen|cannot bind|EADDRINUSE", re.IGNORECASE
)


CommandLine = Callable[..., Sequence[Any]]  # takes ports or a path
Log = Callable[[], str]


class System(Protocol):
    """A system under test, or a part of one, as a context manager: it runs from entry to exit."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class ListeningSystem(System, Protocol):
    """A system that clients reach at `address` and `port`."""

    address: str
    port: int


class BrokerSystem(System, Protocol):
    """A broker of messages; `endpoint` is host:port."""

    endpoint: str


def start(
    host: Host,
    name: str,
    argv: CommandLine,
    ready: Callable[..., object],
    *,
    ports: int = 1,
    env: Mapping[str, str] | None = None,
    timeout: float = PATIENCE_S,
    log: Log = lambda: "",
) -> tuple[Process, list[int]]:
    """Start a server; return (its process, its ports) once `ready(*ports)` raises nothing.

    `argv(*ports)` is its command line. Ports that were taken meanwhile are replaced, in at most
    `TRIES` tries. `log()` returns what the server writes besides standard output and error. Raises
    `HostError` with the server's own words if it ends or does not answer within `timeout` seconds.
    """
    for _ in range(TRIES - 1):
        try:
            return _start_once(host, name, argv, ready, ports, env, timeout, log)
        except _PortTaken:
            continue
    return _start_once(host, name, argv, ready, ports, env, timeout, log)


class _PortTaken(HostError):
    """A server found its port taken."""


def _start_once(
    host: Host,
    name: str,
    argv: CommandLine,
    ready: Callable[..., object],
    ports: int,
    env: Mapping[str, str] | None,
    timeout: float,
    log: Log,
) -> tuple[Process, list[int]]:
    chosen = free_ports(host, ports)
    process = host.start(argv(*chosen), env=env)
    try:
        wait(name, process, lambda: ready(*chosen), timeout, log)
    except BaseException as error:
        process.stop()
        output = "\n".join(_lines(process, log))
        if isinstance(error, HostError) and PORT_TAKEN.search(output):
            raise _PortTaken(str(error)) from None
        raise
    return process, chosen


def announced(
    host: Host,
    argv: Sequence[Any],
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> tuple[Process, Any]:
    """Start a server that prints a line of JSON once it listens; return (its process, the JSON)."""
    process = host.start(argv, env=env)
    try:
        return process, json.loads(process.read_line(timeout))
    except BaseException:
        process.stop()
        raise


class Started(ABC):
    """Base of the servers: context managers that set `process` on entry and stop it on exit."""

    process: Process

    @abstractmethod
    def __enter__(self) -> Self:
        """Start the server."""

    def __exit__(self, *_: object) -> None:
        self.process.stop()


def wait(
    name: str,
    process: Process,
    ready: Callable[[], object],
    timeout: float,
    log: Log = lambda: "",
) -> None:
    """Return once `ready()` raises nothing.

    Raises `HostError` if the process ends or `timeout` seconds pass.
    """
    end = time.monotonic() + timeout
    while True:
        if process.poll() is not None:
            raise HostError(
                f"{name} ended with status {process.poll()} before it answered; "
                f"{said_by(process, log)}"
            )
        began = time.monotonic()
        try:
            ready()
            return
        except Exception as error:  # any exception of its client; the last one is reported
            unanswered = " ".join(str(error).split())[:300]
        if time.monotonic() > end:
            raise HostError(
                f"{name} did not answer within {timeout:g} s ({unanswered}); "
                f"{said_by(process, log)}"
            )
        # A check takes CPU time from the server; a guest has one CPU.
        time.sleep(min(max(POLL_S, 4 * (time.monotonic() - began)), LONGEST_POLL_S))


def said_by(process: Process, log: Log = lambda: "") -> str:
    """Return the cause that a server gave, as part of a sentence."""
    reasons = cause(_lines(process, log))
    return "it said: " + " | ".join(reasons) if reasons else "it said nothing"


def _lines(process: Process, log: Log) -> list[str]:
    text = "\n".join([process.stdout_text(), log(), process.stderr_text()])
    return [line.strip() for line in text.splitlines() if line.strip()]


def cause(lines: list[str]) -> list[str]:
    """Return the lines in which a server says why it ended.

    These are the fatal lines, because a back trace may follow them; without any, the last errors
    and the last lines.
    """
    fatal = [number for number, line in enumerate(lines) if FATAL.search(line)][-2:]
    if fatal:  # if a line ends in a colon, the next one has the reason
        return [
            " ".join(lines[number : number + 1 + lines[number].endswith(":")]) for number in fatal
        ]
    before, last = lines[:-4], lines[-4:]
    return [line for line in before if ERROR.search(line)][-2:] + last


def free_ports(host: Host, count: int) -> list[int]:
    """Return `count` different free ports."""
    chosen: list[int] = []
    while len(chosen) < count:
        port = host.free_port()
        if port not in chosen:
            chosen.append(port)
    return chosen


def credentials() -> tuple[str, str]:
    """Return a throw-away (access key, secret key) of 16 and 32 hexadecimal digits."""
    return secrets.token_hex(8).upper(), secrets.token_hex(16)


def write(host: Host, path: Path | str, text: str) -> None:
    """Write a text file on a host, readable only by its owner."""
    with tempfile.NamedTemporaryFile("w", suffix=Path(path).suffix) as file:
        file.write(text)
        file.flush()
        host.put(Path(file.name), Path(path))
    host.run(["chmod", "600", path])


class Mounted(Started):
    """FUSE file system as a context manager, mounted at `path`.

    `argv(mount point)` is the command that serves it in the foreground.
    """

    path: Path

    def __init__(
        self,
        host: Host,
        name: str,
        argv: CommandLine,
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = PATIENCE_S,
    ):
        self._host, self._name, self._argv, self._env, self._timeout = (
            host,
            name,
            argv,
            env,
            timeout,
        )

    def __enter__(self) -> Self:
        self.path = self._host.scratch()
        lazily = f"umount -l '{self.path}' || fusermount3 -uz '{self.path}'"
        self._host.undo("a mount", ["sh", "-c", lazily])
        self.process = self._host.start(self._argv(self.path), env=self._env)
        try:
            wait(self._name, self.process, self._is_mounted, self._timeout)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_mounted(self) -> None:
        self._host.run(["mountpoint", "-q", self.path])

    def __exit__(self, *_: object) -> None:
        gently = f"umount '{self.path}' || fusermount3 -u '{self.path}' || umount -l '{self.path}'"
        if self._host.run(["mountpoint", "-q", self.path], check=False).returncode == 0:
            self._host.run(["sh", "-c", gently], check=False)
        super().__exit__()


def first_line(host: Host, argv: Sequence[Any]) -> str:
    """Return the first line that a program prints: its version."""
    done = host.run(argv, check=False)
    return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0].strip()
