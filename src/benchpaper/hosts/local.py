"""This machine as a target host."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from benchpaper.core import environment
from benchpaper.core.printable import printable_line
from benchpaper.core.processes import die_with_parent, wait
from benchpaper.hosts import (
    Argument,
    CommandFailed,
    Completed,
    Host,
    HostError,
    OnCommand,
    OnEnd,
    cleanup,
    endings,
    facts,
    ports,
)
from benchpaper.hosts.captured import MAX_BYTES, Captured, TooMuchOutput
from benchpaper.hosts.starter import Started, Starter, find

STOP_GRACE_S = 2.0
POLL_S = 0.001
Running = subprocess.Popen[bytes] | Started
NO_HOME = "/nonexistent"  # Debian's convention
TOO_MUCH = (
    f"printed more than the {MAX_BYTES >> 20} MiB that a host takes in; let it print less, or "
    "write a file in host.scratch() and fetch it by host.get()"
)


class LocalHost:
    """This machine as a `Host`. Scratch folders lie in `folder`, which is its commands' home, too.

    `on_command(host name, argv)` is called as each command starts. It returns a function that is
    called with the exit status.
    """

    python = sys.executable
    loopback: str | None = None
    # Asking for that needs a fork, which is slow where page tables are slow to copy: in guests.
    commands_die_with_us = True
    starter: ClassVar[Path | None] = None  # the program of `hosts.starter`, in guests
    for_servers: ClassVar[Sequence[int]] = ports.ANY  # the ports that `free_port` chooses from

    def __init__(
        self,
        name: str = "local",
        address: str = "127.0.0.1",
        cpus: Iterable[int] | None = None,
        folder: Path | str | None = None,
        on_command: OnCommand | None = None,
    ):
        self.name, self.address = name, address
        self.cpus = list(cpus or ()) or sorted(os.sched_getaffinity(0))
        self._folder = Path(folder) if folder else Path(tempfile.gettempdir())
        self._home = folder or NO_HOME
        endings.begin()
        self._starter = Starter(self.starter) if self.starter else None
        self._on_command: OnCommand = on_command or (lambda host, argv: lambda status: None)

    def run(
        self,
        argv: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        check: bool = True,
    ) -> Completed:
        words = [str(part) for part in argv]
        on_end = self._on_command(self.name, with_environment(words, env))
        process = self._popen(words, env, subprocess.PIPE, subprocess.PIPE)
        captured = Captured(process)
        try:
            status = captured.read(timeout)
            on_end(status)
        except (subprocess.TimeoutExpired, TooMuchOutput) as error:
            _kill_group(process.pid)
            with suppress(subprocess.TimeoutExpired, TooMuchOutput):
                captured.read(STOP_GRACE_S)  # a daemon outside its group may hold the pipes
            on_end(process.wait())
            why = f"did not end within {timeout:g} s; {_tail(captured.texts[1])}"
            if isinstance(error, TooMuchOutput):
                why = TOO_MUCH
            raise CommandFailed(f"{_program(words)} on {self.name} {why}") from None
        except BaseException:
            _kill_group(process.pid)
            raise
        finally:
            captured.close()
        out, err = captured.texts
        if check and status:
            ending = f"ended with {endings.status(status)}"
            raise CommandFailed(f"{_program(words)} on {self.name} {ending}; {_tail(err or out)}")
        return Completed(status, out, err)

    def start(
        self, argv: Sequence[Argument], *, env: Mapping[str, str] | None = None
    ) -> "LocalProcess":
        words = [str(part) for part in argv]
        on_end = self._on_command(self.name, with_environment(words, env))
        folder = self.scratch()
        with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
            process = self._popen(words, env, out, err)
        return LocalProcess(self.name, words, process, folder, on_end)

    def _popen(
        self,
        argv: list[str],
        env: Mapping[str, str] | None,
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
    ) -> Running:
        variables = {**environment.clean(self._home), **(env or {})}
        path = find(argv[0], variables)
        try:
            if self._starter and path:
                return self._starter.start(path, argv, variables, stdout, stderr)
            return subprocess.Popen(
                argv,
                executable=path,
                env=variables,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                process_group=0,
                preexec_fn=self._before_exec(),
            )
        except FileNotFoundError:
            raise HostError(f'program "{argv[0]}" not found on {self.name}') from None
        except OSError as error:
            raise HostError(
                f"{_program(argv)} on {self.name} could not start: {error.strerror}"
            ) from None

    def _before_exec(self) -> Callable[[], None] | None:
        return partial(die_with_parent, os.getpid()) if self.commands_die_with_us else None

    def put(self, local: Path | str, remote: Path | str) -> None:
        self.get(local, remote)

    def get(self, remote: Path | str, local: Path | str) -> None:
        if Path(remote).resolve() != Path(local).resolve():
            shutil.copyfile(remote, local)

    def provide(self, path: Path | str) -> Path:
        return Path(path)

    def scratch(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))

    def undo(self, what: str, argv: Sequence[Argument]) -> None:
        cleanup.note_undo(self._folder, what, argv)

    def free_port(self) -> int:
        return ports.free(self.address, self.for_servers)

    def address_of(self, other: Host) -> str:
        return other.loopback or other.address

    def facts(self) -> dict[str, Any]:
        return facts.facts()


class LocalProcess:
    """A background process of `LocalHost`.

    Its output goes to files, so that it never blocks, and so that the output outlives it.
    """

    def __init__(
        self,
        host_name: str,
        argv: list[str],
        process: Running,
        folder: Path,
        on_end: OnEnd,
    ):
        self._label = f"{_program(argv)} on {host_name}"
        self._process, self._folder, self._on_end = process, folder, on_end
        self._position = 0  # in the file `stdout`

    @property
    def pid(self) -> int:
        return self._process.pid

    def read_line(self, timeout: float = 10.0) -> str:
        end = time.monotonic() + timeout
        while True:
            # Check both before reading: the last line counts, even if we were kept from looking.
            status, late = self._process.poll(), time.monotonic() > end
            line = self._next_line()
            if line is not None:
                return line
            if status is not None:
                raise HostError(
                    f"{self._label} ended with {endings.status(status)} "
                    f"before it answered; {_tail(self.stderr_text())}"
                )
            if late:
                raise HostError(
                    f"{self._label} printed nothing for {timeout:g} s; {_tail(self.stderr_text())}"
                )
            time.sleep(POLL_S)

    def _next_line(self) -> str | None:
        with open(self._folder / "stdout", "rb") as file:
            file.seek(self._position)
            line = file.readline()
        if not line.endswith(b"\n"):
            return None
        self._position += len(line)
        return line.decode(errors="replace").rstrip("\n")

    def wait(self, timeout: float = 60.0) -> int:
        try:
            status = wait(self._process, timeout)
            self._on_end(status)
            return status
        except subprocess.TimeoutExpired:
            self.stop()
            raise CommandFailed(f"{self._label} did not end within {timeout:g} s") from None

    def poll(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                wait(self._process, STOP_GRACE_S)
        _kill_group(self._process.pid)
        self._on_end(self._process.wait())

    def stdout_text(self) -> str:
        return self._output("stdout")

    def stderr_text(self) -> str:
        return self._output("stderr")

    def _output(self, name: str) -> str:
        path = self._folder / name
        if path.stat().st_size > MAX_BYTES:
            raise HostError(f"{self._label} {TOO_MUCH}")
        return path.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def with_environment(argv: list[str], env: Mapping[str, str] | None) -> list[str]:
    """Return the command as `env NAME=VALUE ... program`, which runs in any shell."""
    settings = [f"{name}={value}" for name, value in (env or {}).items()]
    return ["env", *settings, *argv] if settings else [*argv]


def _kill_group(pid: int) -> None:
    """Kill the process group that `_popen` made; its id is that of its leader."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _program(argv: list[str]) -> str:
    return Path(argv[0]).name


def _tail(text: str, lines: int = 3) -> str:
    last = [line.strip() for line in text.strip().splitlines() if line.strip()][-lines:]
    return f"it said: {printable_line(' | '.join(last))}" if last else "it said nothing"
