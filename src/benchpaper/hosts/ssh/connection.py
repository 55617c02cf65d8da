"""Target hosts over SSH: one connection per host, made by the system's `ssh`.

The agent (`hosts.agent`) runs at its other end.
"""

import shutil
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from benchpaper.core.capabilities import modules
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.hosts import HostError, HostLost, OnCommand
from benchpaper.hosts.agent import wire
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh import boot, deploy, remote
from benchpaper.hosts.ssh.remote import Conversation, SshHost
from benchpaper.hosts.ssh.tunnel import OPTIONS, Tunnel

__all__ = ["OPTIONS", "SILENCE_S", "SshLink", "Unreachable"]

GREETING_S = 20.0  # for the agent to answer
CONCLUDE_S = 30.0  # for tidying up after a trial
SILENCE_S = 15.0  # after so long without a heartbeat, the agent ends everything


class Unreachable(UserError):
    """A host cannot be used; the text says which, why, and what to do."""


class SshLink:
    """The connection to one host of a site, and a conversation for requests to the machine.

    `entry` is the host in the site file. `agent` is the agent's description of the host
    (`agent.main.describe_host`); it outlasts a lost connection.
    """

    def __init__(self, project: Project, site_name: str, entry: HostEntry):
        self._project, self._site, self._entry = project, site_name, entry
        self.name = entry.name
        self.python = ""  # until `deploy`
        self.agent: dict[str, Any] = {}  # until `complete`
        self.locked_for: str | None = None
        self._tunnel: Tunnel | None = None
        self._control: Conversation | None = None

    # ---- connecting ----

    def begin(self) -> None:
        """Start to connect; `complete` waits until the connection stands."""
        if not shutil.which("ssh"):
            raise UserError("no ssh on PATH; install the package openssh-client")
        state = self._project.state / "connections"
        self._tunnel = Tunnel(self._project.root, state, self._entry, SILENCE_S)

    def complete(self) -> None:
        """Wait until the agent answers.

        Raises `Unreachable`, with the reason and the next step, when it does not.
        """
        tunnel = self._live_tunnel()
        try:
            greeting = tunnel.read_answer(GREETING_S)
        except wire.Malformed as error:
            self._refuse(f"it sent {error}; see what it runs instead of the agent")
        if greeting is None:
            self._refuse(tunnel.why_no_answer(GREETING_S))
        if why := boot.complaint(greeting):
            self._refuse(why)
        if "socket" not in greeting:
            self._refuse("it sent no greeting; see what it runs instead of the agent")
        if why := tunnel.forward(greeting["socket"], GREETING_S):
            self._refuse(why)
        self.agent = greeting
        try:
            self._control = Conversation(self)
            self._check_address()
        except HostError as error:
            self._refuse(str(error))

    def _check_address(self) -> None:
        addresses, address = self._call("addresses"), self._entry.address
        wanted = self._entry.interface
        if wanted and addresses.get(wanted) != address:
            shown = ", ".join(f"{interface} {other}" for interface, other in addresses.items())
            self._refuse(
                f"its interface {wanted} does not have the address {address} of the site file "
                f"(there are: {shown})"
            )

    def _refuse(self, why: str) -> NoReturn:
        self.close()
        raise self._unreachable(why)

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(f'host "{self.name}" of site "{self._site}": {why}')

    def close(self) -> None:
        """End the connection, and with it all processes behind it."""
        if self._control:
            self._control.close()
            self._control = None
        if self._tunnel:
            self._tunnel.close()
            self._tunnel = None

    @property
    def alive(self) -> bool:
        """True if the connection stands, as far as ssh knows, and the agent answers."""
        if self._control is None or self._tunnel is None or not self._tunnel.running:
            return False
        try:
            self._control.call("clock")
            return True
        except HostError:
            return False

    @property
    def processes(self) -> list[int]:
        """The ids of the processes of this machine that hold the connection."""
        return [self._tunnel.pid] if self._tunnel else []

    def connect(self, name: str) -> socket.socket:
        """Return a new socket to the agent; an error calls the host `name`."""
        try:
            return self._live_tunnel().connect(remote.ANSWER_S)
        except OSError:
            raise HostLost(f"the connection to {name} is lost") from None

    def _live_tunnel(self) -> Tunnel:
        if self._tunnel is None:
            raise HostLost(f"the connection to {self.name} is lost")
        return self._tunnel

    def _live_control(self) -> Conversation:
        if self._control is None:
            raise HostLost(f"the connection to {self.name} is lost")
        return self._control

    def _call(self, operation: str, patience: float = 0.0, **options: Any) -> Any:
        return self._live_control().call(operation, patience, **options)

    # ---- the machine ----

    @property
    def machine(self) -> str:
        return self.agent["boot"]

    @property
    def identity(self) -> str:
        return self.agent["identity"]

    @property
    def store(self) -> Path:
        """The host's folder for what was sent there."""
        return Path(self.agent["store"])

    @property
    def folders(self) -> dict[str, str]:
        """{folder of the host: what stands for it in results}."""
        agent = self.agent
        return {
            agent["trials"]: "$SCRATCH",
            agent["store"]: "$DEPLOYED",
            agent["temporary"]: "$TMP",
            agent["home"]: "$HOME",
        }

    def lock(self, what: str) -> str | None:
        """Take the lock on measuring there. Return None, or who holds it since when."""
        tunnel = self._live_tunnel()
        try:
            tunnel.order({"lock": f"{what}, controlled from {socket.gethostname()}"})
            answer = tunnel.read_answer(remote.ANSWER_S)
        except (OSError, wire.Malformed):
            answer = None
        if answer is None:
            raise Unreachable(f'host "{self.name}" of site "{self._site}" does not answer any more')
        if "error" in answer:
            raise self._unreachable(answer["error"])
        if not {"locked", "held"} & answer.keys():
            raise self._unreachable("it answered another order than that for its lock")
        self.locked_for = what if "locked" in answer else None
        return answer.get("held")

    def unlock(self) -> None:
        if self.locked_for and self._tunnel:
            self.locked_for = None
            answer = None
            with suppress(OSError, wire.Malformed):
                self._tunnel.order({"unlock": True})
                answer = self._tunnel.read_answer(remote.ANSWER_S)
            if answer is None or "unlocked" not in answer:
                self.close()  # a late answer must not be taken for the next one

    def ask(self, what: str, *, patience: float = 60.0, **options: Any) -> Any:
        """Return the agent's answer about the machine ("probe", "has", "disturbances")."""
        if what in ("probe", "has"):
            options |= {"python": self._project_python(()), "modules": modules()}
        return self._call(what, patience, **options)

    def clock_offset(self, tries: int = 5) -> tuple[float, float]:
        """Return (seconds that the host's clock is ahead of ours, half the round trip).

        The quickest try counts.
        """
        answers = []
        for _ in range(tries):
            before = time.time()
            there = self._call("clock")
            after = time.time()
            answers.append(((after - before) / 2, there - (before + after) / 2))
        half, offset = min(answers)
        return offset, half

    def deploy(self, packages: Iterable[str]) -> None:
        """Send the project and `packages` where the host lacks them; `python` finds them."""
        self.python = self._project_python(packages)

    def _project_python(self, packages: Iterable[str]) -> str:
        return deploy.python(self._live_control(), self.agent, self._project, packages, self.name)

    def host(self, role: str, scratch: Path, seconds: float, on_command: OnCommand) -> SshHost:
        """Return the host of the trial whose scratch folder here is `scratch`."""
        trial = f"{self.prefix}{scratch.name}-{role}"
        return SshHost(self, role, trial, self._entry, seconds, on_command)

    def conclude(self, trial: str = "") -> dict[str, dict[str, Any]]:
        """Return what the agent has kept of a trial that ended, and forget it there.

        Without `trial`, all trials of this checkout count.
        """
        seconds = CONCLUDE_S if trial else 0
        return self._call("conclude", CONCLUDE_S, prefix=f"{self.prefix}{trial}", seconds=seconds)

    @property
    def prefix(self) -> str:
        """The begin of the names of this checkout's trials on the host."""
        return f"{deploy.checkout(self._project)}-{self.name}-"

    @property
    def memo(self) -> Path:
        """The folder that keeps the digests of local files."""
        return self._project.state / "digests"
