"""Target hosts: what an experiment may do on a machine, and the sites that group them.

`Host` is the protocol; every kind of host behaves alike. An experiment gets hosts by role and never asks of
which kind they are.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class HostError(Exception):
    """Something went wrong on a host; the text says what, on which host, with the program's own words."""


class HostLost(HostError):
    """A host does not answer any more: its connection is cut, or it hangs."""


class CommandFailed(HostError):
    """A command ended with a status other than 0, or did not end in time."""


@dataclass(frozen=True)
class Completed:
    """A finished command: its exit status (negative: killed by that signal) and what it printed."""

    returncode: int
    stdout: str
    stderr: str


class Process(Protocol):
    """A background process on a host. Use it as a context manager: leaving it stops the process."""

    def read_line(self, timeout: float = 10.0) -> str:
        """Return the next line of standard output. Raises `HostError` when the process ends or time runs out."""

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the end and return the exit status. Raises `CommandFailed` when time runs out."""

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""

    def stop(self) -> None:
        """End the process: terminate, then kill; returns when it is gone."""

    def stdout_text(self) -> str: ...
    def stderr_text(self) -> str: ...


class Host(Protocol):
    """A machine of a site.

    `name` is the name in the site file, `address` what servers bind to and clients connect to, `cpus` the CPUs
    that the experiment may pin to (never empty). `python` is an interpreter on the host that can import this project
    (`[host.python, "-m", "experiments.FAMILY.NAME"]`) and the packages that the experiment declares.
    """

    name: str
    address: str
    cpus: list
    python: str

    def run(self, argv, *, env=None, timeout=60.0, check=True) -> Completed:
        """Run a command to its end. Raises `CommandFailed` on a status other than 0, unless `check` is false,
        and always when `timeout` seconds pass (the command is killed first)."""

    def start(self, argv, *, env=None) -> Process:
        """Start a background process that dies with the trial."""

    def put(self, local: Path, remote: Path) -> None: ...
    def get(self, remote: Path, local: Path) -> None: ...

    def provide(self, path: Path) -> Path:
        """Return where `path`, a program, a library folder or data of the controller, lies on the host. It is sent
        there once for each content, and stays; on this machine it is `path` itself. Nobody may change it."""

    def scratch(self) -> Path:
        """Return a fresh folder on the host that is removed after the trial."""

    def undo(self, what: str, argv) -> None:
        """Run a command after the trial, however it ends, or at the next run when this one is killed: the undo of a
        mount, a namespace, a cgroup. Call it before making the thing. `what` names it ("a mount")."""

    def free_port(self) -> int:
        """Return a TCP port on `address` that was free a moment ago."""

    def facts(self) -> dict: ...
