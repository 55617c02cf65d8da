"""A host over SSH in a trial: `SshHost`, on top of conversations with its agent."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Protocol, Self

from benchpaper.core.atomic_write import replacing
from benchpaper.core.private import private_file
from benchpaper.hosts import (
    Argument,
    Completed,
    Host,
    HostError,
    OnCommand,
    OnEnd,
)
from benchpaper.hosts.agent import wire
from benchpaper.hosts.agent.wire import Channel
from benchpaper.hosts.local import with_environment
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh import deploy
from benchpaper.hosts.ssh.conversation import Conversation

COPY_S = 3600.0  # for the largest file over a slow link


class Connection(Protocol):
    """What a host in a trial needs of the connection to its machine (`link.SshLink`)."""

    name: str
    python: str

    @property
    def answer_s(self) -> float | None:
        """How long an answer may take, if not as long as usual (`Conversation`)."""

    @property
    def cpus(self) -> Sequence[int]: ...

    @property
    def store(self) -> Path: ...

    @property
    def memo(self) -> Path: ...

    def connect(self, name: str) -> socket.socket: ...

    def last_words(self) -> str:
        """Return what the machine said as it went down, or "" if that cannot be known."""


class SshHost:
    """A remote machine in one trial. A `LocalHost` serves it there, so both behave alike."""

    loopback: str | None = None

    def __init__(
        self,
        connection: Connection,
        role: str,
        trial: str,
        entry: HostEntry,
        seconds: float,
        on_command: OnCommand,
    ):
        self.name, self.address = role, entry.address
        self.cpus: list[int] = list(entry.cpus or connection.cpus)
        self.python = connection.python
        self._link, self._on_command = connection, on_command
        self._opening: dict[str, Any] = dict(
            name=role, address=self.address, cpus=self.cpus, seconds=seconds
        )
        self._trial = trial
        self._sessions: list[Conversation] = []
        self._growing = threading.Lock()

    def _lock_session(self) -> Conversation:
        """Return an idle session, locked. Threads that use the host at once get one each."""
        with self._growing:
            for session in self._sessions:
                if session.lock.acquire(blocking=False):
                    return session
            trial = f"{self._trial}-{len(self._sessions)}"
            link, name = self._link, self.name
            session = Conversation(link.connect(name), name, link.last_words, link.answer_s)
            try:
                session.call("open", trial=trial, **self._opening)
            except BaseException:
                session.close()
                raise
            session.lock.acquire()
            self._sessions.append(session)
            return session

    @contextmanager
    def _session(self) -> Iterator[Conversation]:
        session = self._lock_session()
        try:
            yield session
        finally:
            session.lock.release()

    def _call(self, operation: str, patience: float = 0.0, **options: Any) -> Any:
        with self._session() as session:
            return session.call(operation, patience, **options)

    def run(
        self,
        argv: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        check: bool = True,
    ) -> Completed:
        words, settings = _texts(argv, env)
        on_end = self._on_command(self.name, with_environment(words, settings))
        options: dict[str, Any] = dict(argv=words, env=settings, timeout=timeout, check=check)
        with self._session() as session:
            try:
                return Completed(*session.call("run", timeout, **options))
            finally:
                if session.status is not None:
                    on_end(session.status)

    def start(
        self, argv: Sequence[Argument], *, env: Mapping[str, str] | None = None
    ) -> "SshProcess":
        words, settings = _texts(argv, env)
        on_end = self._on_command(self.name, with_environment(words, settings))
        with self._session() as session:
            number, pid = session.call("start", argv=words, env=settings)
        return SshProcess(session, number, pid, on_end)

    def put(self, local: Path | str, remote: Path | str) -> None:
        with open(local, "rb") as file:
            size = os.fstat(file.fileno()).st_size

            def send(channel: Channel) -> None:
                wire.send_file(channel, file, size)

            self._call("put", COPY_S, path=str(remote), sending=send)

    def get(self, remote: Path | str, local: Path | str) -> None:
        """Copy a file of the host to here; it appears once it is whole."""
        with (
            replacing(Path(local), durable=False) as part,
            open(part, "xb", buffering=0, opener=private_file) as file,
        ):

            def save(channel: Channel, size: int) -> None:
                self._save(channel, size, file)

            self._call("get", COPY_S, path=str(remote), receiving=save)

    def _save(self, channel: Channel, size: int, file: FileIO) -> None:
        """Write the stream of a file of `size` bytes, and not one byte more."""
        free_bytes = shutil.disk_usage(file.fileno()).free
        if size > free_bytes:
            raise HostError(
                f"a file of {size} bytes on {self.name} has no room here: {free_bytes} are free"
            )
        received = 0
        try:
            for part in wire.chunks(channel):
                received += len(part)
                if received > size:
                    raise wire.Malformed(f"more than the {size} bytes of the file")
                view = memoryview(part)
                while view:
                    view = view[file.write(view) :]
        except EOFError:
            raise HostError(f"the file shrank on {self.name} while it was copied") from None
        if received < size:
            raise wire.Malformed(f"{received} of the {size} bytes of the file")

    def provide(self, path: Path | str) -> Path:
        with self._session() as session:
            return deploy.provide(session, self._link.store, Path(path), self._link.memo)

    def scratch(self) -> Path:
        return Path(self._call("scratch"))

    def undo(self, what: str, argv: Sequence[Argument]) -> None:
        self._call("undo", what=what, argv=[str(part) for part in argv])

    def free_port(self) -> int:
        return self._call("free_port")

    def address_of(self, other: Host) -> str:
        return other.address

    def facts(self) -> dict[str, Any]:
        return self._call("facts")

    def close(self) -> None:
        """End everything that this host started, as the end of the trial's worker does."""
        for session in self._sessions:
            session.close()


def _texts(
    argv: Sequence[Argument], env: Mapping[str, str] | None
) -> tuple[list[str], dict[str, str]]:
    return [str(part) for part in argv], {name: str(value) for name, value in (env or {}).items()}


class SshProcess:
    """A background process on a remote host."""

    def __init__(self, session: Conversation, number: int, pid: int, on_end: OnEnd):
        self._session, self._number, self._on_end = session, number, on_end
        self.pid = pid

    def _call(self, method: str, patience: float = 0.0, **options: Any) -> Any:
        with self._session.lock:
            try:
                return self._session.call(
                    "process", patience, number=self._number, method=method, options=options
                )
            finally:
                if self._session.status is not None:
                    self._on_end(self._session.status)

    def read_line(self, timeout: float = 10.0) -> str:
        return self._call("read_line", timeout, timeout=timeout)

    def wait(self, timeout: float = 60.0) -> int:
        return self._call("wait", timeout, timeout=timeout)

    def poll(self) -> int | None:
        return self._call("poll")

    def stop(self) -> None:
        self._call("stop")

    def stdout_text(self) -> str:
        return self._call("stdout_text")

    def stderr_text(self) -> str:
        return self._call("stderr_text")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
