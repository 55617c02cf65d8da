"""A standing connection to one host of a site, for requests to the machine."""

import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchpaper.core.capabilities import modules
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.hosts import HostError, HostLost, OnCommand
from benchpaper.hosts.agent import wire
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh import conversation, deploy
from benchpaper.hosts.ssh.conversation import Conversation
from benchpaper.hosts.ssh.remote import SshHost
from benchpaper.hosts.ssh.tunnel import Tunnel

CONCLUDE_S = 30.0  # for tidying up after a trial


class Unreachable(UserError):
    """A host cannot be used; the text says which, why, and what to do."""


class SshLink:
    """The connection to one host of a site; `connection.SshConnecting` makes it.

    `entry` is the host in the site file. `agent` is the agent's description of the host
    (`agent.main.describe_host`). `python` is the host's own interpreter until `deploy` sends one
    that can import the project. `close` ends `tunnel` and `control` too.
    """

    answer_s: float | None = None

    def __init__(
        self,
        project: Project,
        site_name: str,
        entry: HostEntry,
        tunnel: Tunnel,
        control: Conversation,
        agent: Mapping[str, Any],
    ):
        self._project, self._site, self._entry = project, site_name, entry
        self._tunnel, self._control, self._agent = tunnel, control, agent
        self.name = entry.name
        self.python: str = agent["python"]
        self.locked_for: str | None = None

    def close(self) -> None:
        """End the connection, and with it all processes behind it and the lock."""
        self._control.close()
        self._tunnel.close()
        self.locked_for = None

    @property
    def alive(self) -> bool:
        """True if the connection stands, as far as ssh knows, and the agent answers."""
        if not self._tunnel.running:
            return False
        try:
            self._control.call("clock")
            return True
        except HostError:
            return False

    @property
    def processes(self) -> list[int]:
        """The ids of the processes of this machine that hold the connection."""
        return [] if self._tunnel.closed else [self._tunnel.pid]

    def connect(self, name: str) -> socket.socket:
        """Return a new socket to the agent; an error calls the host `name`."""
        return connect(self._tunnel, name)

    def last_words(self) -> str:
        """Return what the machine said as it went down, or "" if that cannot be known."""
        return self._tunnel.last_words()

    # ---- the machine ----

    @property
    def machine(self) -> str:
        return self._agent["boot"]

    @property
    def identity(self) -> str:
        return self._agent["identity"]

    @property
    def cpus(self) -> list[int]:
        """The CPUs that the agent may use there."""
        return self._agent["cpus"]

    @property
    def store(self) -> Path:
        """The host's folder for what was sent there."""
        return Path(self._agent["store"])

    @property
    def folders(self) -> dict[str, str]:
        """{folder of the host: what stands for it in results}."""
        return {
            self._agent["trials"]: "$SCRATCH",
            self._agent["store"]: "$DEPLOYED",
            self._agent["temporary"]: "$TMP",
            self._agent["home"]: "$HOME",
        }

    def lock(self, what: str) -> str | None:
        """Take the lock on measuring there. Return None, or who holds it since when."""
        try:
            self._tunnel.order({"lock": f"{what}, controlled from {socket.gethostname()}"})
            answer = self._tunnel.read_answer(conversation.ANSWER_S)
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

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(f'host "{self.name}" of site "{self._site}": {why}')

    def unlock(self) -> None:
        if self.locked_for:
            self.locked_for = None
            answer = None
            with suppress(OSError, wire.Malformed):
                self._tunnel.order({"unlock": True})
                answer = self._tunnel.read_answer(conversation.ANSWER_S)
            if answer is None or "unlocked" not in answer:
                self.close()  # a late answer must not be taken for the next one

    def ask(self, what: str, *, patience: float = 60.0, **options: Any) -> Any:
        """Return the agent's answer about the machine ("probe", "has", "disturbances")."""
        if what in ("probe", "has"):
            options |= {"python": self._project_python(()), "modules": modules()}
        return self._control.call(what, patience, **options)

    def clock_offset(self, tries: int = 5) -> tuple[float, float]:
        """Return (seconds that the host's clock is ahead of ours, half the round trip).

        The quickest try counts.
        """
        answers = []
        for _ in range(tries):
            before = time.time()
            there = self._control.call("clock")
            after = time.time()
            answers.append(((after - before) / 2, there - (before + after) / 2))
        half, offset = min(answers)
        return offset, half

    def deploy(self, packages: Iterable[str]) -> None:
        """Send the project and `packages` where the host lacks them; `python` finds them."""
        self.python = self._project_python(packages)

    def _project_python(self, packages: Iterable[str]) -> str:
        return deploy.python(self._control, self._agent, self._project, packages, self.name)

    def host(self, role: str, scratch: Path, seconds: float, on_command: OnCommand) -> SshHost:
        """Return the host of the trial whose scratch folder here is `scratch`."""
        trial = f"{self.prefix}{scratch.name}-{role}"
        return SshHost(self, role, trial, self._entry, seconds, on_command)

    def conclude(self, trial: str = "") -> dict[str, dict[str, Any]]:
        """Return what the agent has kept of a trial that ended, and forget it there.

        Without `trial`, all trials of this checkout count.
        """
        prefix, seconds = f"{self.prefix}{trial}", CONCLUDE_S if trial else 0
        return self._control.call("conclude", CONCLUDE_S, prefix=prefix, seconds=seconds)

    @property
    def prefix(self) -> str:
        """The begin of the names of this checkout's trials on the host."""
        return f"{deploy.checkout(self._project)}-{self.name}-"

    @property
    def memo(self) -> Path:
        """The folder that keeps the digests of local files."""
        return self._project.state / "digests"


def connect(tunnel: Tunnel, name: str) -> socket.socket:
    """Return a new socket to the agent behind a tunnel.

    Raises `HostLost`, which calls the host `name`, when the connection is lost.
    """
    try:
        return tunnel.connect(conversation.ANSWER_S)
    except OSError as error:
        said = tunnel.last_words()
        quoted = f"; it said: {said}" if said else f" ({error.strerror or error})"
        raise HostLost(f"the connection to {name} is lost{quoted}") from None
