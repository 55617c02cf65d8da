"""Target hosts: what an experiment may do on a machine, and the sites that group machines.

`Host` is the protocol of a host in a trial, `Link` that of a host in a site. All kinds of hosts
behave alike. An experiment gets its hosts by role and never asks for their kind.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

Argument = str | os.PathLike[str] | int | float  # part of a command line
OnEnd = Callable[[int], None]  # receives the exit status of a command
OnCommand = Callable[[str, list[str]], OnEnd]  # receives host name and argv as a command starts


class HostError(Exception):
    """Something failed on a host; the text names the host and quotes the program."""


class HostLost(HostError):
    """A host no longer answers: its connection is cut, or it hangs."""


class HostUnreliable(HostLost):
    """A host broke the agent's protocol, so its connection is given up."""


class CommandFailed(HostError):
    """A command ended with a status other than 0, or did not end in time."""


@dataclass(frozen=True)
class Completed:
    """A finished command: its exit status (negative: killed by that signal) and its output."""

    returncode: int
    stdout: str
    stderr: str


class Process(Protocol):
    """A background process on a host. As a context manager, it stops on exit."""

    @property
    def pid(self) -> int: ...

    def read_line(self, timeout: float = 10.0) -> str:
        """Return the next line of standard output.

        Raises `HostError` when the process ends or `timeout` seconds pass.
        """

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the end and return the exit status.

        Raises `CommandFailed` when `timeout` seconds pass.
        """

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""

    def stop(self) -> None:
        """End the process: terminate it, kill it after a grace period, and wait for its end."""

    def stdout_text(self) -> str:
        """Return the standard output so far."""

    def stderr_text(self) -> str:
        """Return the standard error so far."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Host(Protocol):
    """A machine in a trial.

    `name` is the role that the host plays. Servers bind to `address`, and clients connect to it.
    `loopback` is the address of the controller's loopback that leads to the host, if only that
    does. `cpus` are the CPUs that the experiment may pin to; the list is never empty. `python` is
    an interpreter on the host that can import this project
    (`[host.python, "-m", "experiments.FAMILY.NAME"]`) and the packages that the experiment
    declares.
    """

    name: str
    address: str
    loopback: str | None
    cpus: list[int]
    python: str

    def address_of(self, other: "Host") -> str:
        """Return the address at which programs on this host reach servers on `other`.

        It is `other.address`, unless only the controller's loopback leads there.
        """

    def run(
        self,
        argv: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        check: bool = True,
    ) -> Completed:
        """Run a command to its end.

        Raises `CommandFailed` on a status other than 0, unless `check` is false. Always raises it
        when `timeout` seconds pass; the command is killed first.
        """

    def start(self, argv: Sequence[Argument], *, env: Mapping[str, str] | None = None) -> Process:
        """Start a background process that dies with the trial."""

    def put(self, local: Path, remote: Path) -> None:
        """Copy a file of the controller to the host."""

    def get(self, remote: Path, local: Path) -> None:
        """Copy a file of the host to the controller."""

    def provide(self, path: Path) -> Path:
        """Return where `path` of the controller (program, library folder, data) lies on the host.

        A remote host receives each content once and keeps it; on this machine the result is `path`
        itself. The copy is read-only by convention.
        """

    def scratch(self) -> Path:
        """Return a fresh folder on the host that is removed after the trial."""

    def undo(self, what: str, argv: Sequence[Argument]) -> None:
        """Run a command after the trial, however it ends: the undo of a mount or a cgroup.

        If the trial is killed, the next run does so. Call this before making the thing. `what`
        names it ("a mount").
        """

    def free_port(self) -> int:
        """Return a TCP port on `address` that was free a moment ago."""

    def facts(self) -> dict[str, Any]:
        """Return {fact: value} of the machine: kernel, CPU, memory in bytes, and so on."""


class Link(Protocol):
    """A host of a site, connected: requests to the machine, and a `Host` per trial and role.

    `name` is the name in the site file. `locked_for` says why this link holds the host's lock.
    """

    name: str
    locked_for: str | None

    @property
    def machine(self) -> str:
        """What tells machines apart: hosts of a lab share one."""

    @property
    def identity(self) -> str:
        """What stands for this machine in a journal, without naming it."""

    @property
    def processes(self) -> Sequence[int]:
        """The ids of the processes on this machine that hold the connection."""

    @property
    def folders(self) -> Mapping[str, str]:
        """{folder on the host: what stands for it in results}."""

    @property
    def alive(self) -> bool: ...

    def close(self) -> None:
        """End the connection, and with it all processes behind it. A second time does nothing."""

    def deploy(self, packages: Iterable[str]) -> None:
        """Send the project and `packages` to the host where it lacks them."""

    def lock(self, what: str) -> str | None:
        """Take the host's lock on measuring. Return None, or who holds it since when."""

    def unlock(self) -> None: ...

    def ask(self, what: str, *, names: Sequence[str] = ...) -> Any:
        """Answer a question about the machine.

        It is "probe", "has" or "environments" (both with `names`), or "disturbances".
        """

    def clock_offset(self) -> tuple[float, float] | None:
        """Return (seconds that the host's clock is ahead of ours, half the round trip).

        None stands for our own clock.
        """

    def host(self, role: str, scratch: Path, seconds: float, on_command: OnCommand) -> Host:
        """Return the host of the trial whose scratch folder here is `scratch`.

        The trial may run for `seconds`.
        """


class Connecting(Protocol):
    """A host of a site to which a connection is being made; several connect at the same time."""

    def complete(self) -> Link:
        """Wait until the connection stands. Raises `Unreachable` (`hosts.ssh.link`)."""

    def close(self) -> None:
        """End the connection, complete or not."""
