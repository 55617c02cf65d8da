"""A standing connection to one guest of a site, for requests to the machine."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchpaper.core import lock
from benchpaper.core.project import Project
from benchpaper.hosts import HostLost, OnCommand
from benchpaper.hosts.agent import disturbances
from benchpaper.hosts.guests.host import GuestHost
from benchpaper.hosts.guests.machine import KINDS
from benchpaper.hosts.guests.network import Network
from benchpaper.hosts.guests.tunnel import GuestTunnel
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh.conversation import Conversation
from benchpaper.hosts.ssh.link import SshLink

PYTHON = "/run/benchpaper/python"  # in the guest; `init` writes it


class GuestLink(SshLink):
    """The connection to one guest of a site; `connection.GuestConnecting` makes it.

    The guest ends with it. Guests share this machine: its lock on measuring is theirs, and what
    disturbs it disturbs them.
    """

    def __init__(
        self,
        project: Project,
        site_name: str,
        entry: HostEntry,
        tunnel: GuestTunnel,
        control: Conversation,
        agent: Mapping[str, Any],
        network: Network,
    ):
        super().__init__(project, site_name, entry, tunnel, control, agent)
        self._guest, self._network, self._locks = tunnel, network, ExitStack()
        self.answer_s = KINDS[entry.kind].ANSWER_S
        self.used = False  # whether the guest has served a trial

    def close(self) -> None:
        """End the guest, and the lock."""
        super().close()
        self.unlock()

    @property
    def alive(self) -> bool:
        """True if the guest answers, and what joins it to others runs."""
        joined = bool(self._entry.tap) or self._network.running
        return super().alive and joined and not self._guest.failure()

    @property
    def processes(self) -> list[int]:
        own = [] if self._guest.closed else self._guest.processes
        return [*own, *self._network.processes]

    @property
    def machine(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def _project_python(self, packages: Iterable[str]) -> str:
        """Send nothing: the guest sees the project and its Python."""
        return PYTHON

    def lock(self, what: str) -> str | None:
        """Take this machine's lock on measuring. Return None, or who holds it since when."""
        try:
            self._locks.enter_context(lock.held(lock.host_lock(), what))
        except lock.Held as error:
            return str(error)
        self.locked_for = what
        return None

    def unlock(self) -> None:
        self.locked_for = None
        self._locks.close()

    def give_lock(self) -> ExitStack:
        """Return the hold on this machine's lock, so that it outlives the guest."""
        return self._locks.pop_all()

    def take_lock(self, locks: ExitStack, what: str | None) -> None:
        """Take over what another guest's `give_lock` returned."""
        self._locks, self.locked_for = locks, what

    def ask(self, what: str, *, patience: float = 60.0, **options: Any) -> Any:
        if what == "disturbances":
            return disturbances.so_far()
        slower = KINDS[self._entry.kind].SLOWER
        return super().ask(what, patience=patience * slower, **options)

    def host(self, role: str, scratch: Path, seconds: float, on_command: OnCommand) -> GuestHost:
        trial = f"{self.prefix}{scratch.name}-{role}"
        return GuestHost(self, self._guest.control, role, trial, self._entry, seconds, on_command)

    def conclude(self, trial: str = "") -> dict[str, dict[str, Any]]:
        """Return what the agent has kept of a trial: nothing after a power cut in it."""
        self.used = self.used or bool(trial)  # the trial's own process called `host`
        try:
            return super().conclude(trial)
        except HostLost:
            if not self._guest.running:
                raise
            connection = self.connect(self.name)
            self._control = Conversation(connection, self.name, self.last_words, self.answer_s)
            return super().conclude(trial)
