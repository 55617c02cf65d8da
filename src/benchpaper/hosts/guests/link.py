"""A guest as a host of a site: the link that boots it and ends it."""

import socket
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchpaper.core import lock
from benchpaper.core.project import Project
from benchpaper.hosts import HostLost, OnCommand, guest_kernel
from benchpaper.hosts.agent import disturbances
from benchpaper.hosts.guests import keeper, view
from benchpaper.hosts.guests.host import GuestHost
from benchpaper.hosts.guests.network import Network
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh.connection import SshLink
from benchpaper.hosts.ssh.remote import Conversation
from benchpaper.hosts.ssh.tunnel import Tunnel

BOOT_S = 120.0  # a guest boots in 3 s; a busy machine may need many
MEMORY_MIB, PREFIX = 256, 24
PYTHON = "/run/benchpaper/python"  # in the guest; `init` writes it


class GuestTunnel(Tunnel):
    """A running keeper (`guests.keeper`) in place of `ssh`."""

    def __init__(self, project: Project, entry: HostEntry, port: int | None):
        self._entry = entry
        state = project.state / "connections"
        passed = [] if port is None else [port]
        self._launch(state, lambda folder: _command(project, entry, folder, port), b"", passed)

    def forward(self, remote_socket: str, timeout: float) -> str:
        """Do nothing: the keeper carries connections from the start."""
        return ""

    def control(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        # By descriptor, because the path may be too long for the address of a socket.
        connection.connect(f"/proc/self/fd/{self._directory}/{keeper.CONTROL}")
        return connection

    @property
    def console(self) -> str:
        return keeper.tail(self._folder)

    def why_no_answer(self, waited_s: float) -> str:
        """Return why the guest does not answer, with the end of its console."""
        said = self.console or self._errors.text() if not self.running else self.console
        quoted = f"its console ends: {said}" if said else "its console is empty"
        if self.running:
            return f"it did not boot within {waited_s:g} s; {quoted}"
        return f"it did not boot; {quoted}"


def _command(project: Project, entry: HostEntry, folder: Path, port: int | None) -> list[str]:
    memory = entry.memory or MEMORY_MIB
    plan = keeper.Plan(
        sandbox=view.words(project, folder / keeper.EXCHANGE, bool(entry.tap)),
        tap=entry.tap,
        port=port,
        memory_mib=memory,
        disk_mib=entry.disk or 0,
        source=str(view.SOURCE),
        options={
            "name": entry.name,
            "address": entry.address,
            "prefix": PREFIX,
            "memory_mib": memory,
            "shown": view.shown(project),
            "python": sys.executable,
            "python_path": [str(project.root), str(view.SOURCE)],
        },
    )
    return [sys.executable, "-P", "-m", keeper.__name__, plan.to_json()]


class GuestLink(SshLink):
    """A guest of a site. It boots when the site is connected, and ends with the connection.

    Guests share this machine: its lock on measuring is theirs, and what disturbs it disturbs them.
    """

    greeting_s = BOOT_S

    def __init__(self, project: Project, site_name: str, entry: HostEntry, network: Network):
        super().__init__(project, site_name, entry)
        self._network, self._locks = network, ExitStack()

    def begin(self) -> None:
        """Start to boot the guest; `complete` waits until its agent answers."""
        if why := guest_kernel.lacking():
            self._refuse(f"this machine cannot boot guests: {why}")
        if self._entry.tap and not Path("/sys/class/net", self._entry.tap).exists():
            advice = 'run "benchpaper lab up --guests N" again, or leave the key out'
            self._refuse(f"its network interface {self._entry.tap} (tap) does not exist; {advice}")
        port = None if self._entry.tap else self._network.port(self.name)
        self._tunnel = GuestTunnel(self._project, self._entry, port)

    @property
    def processes(self) -> list[int]:
        return [*super().processes, *self._network.processes]

    @property
    def last_words(self) -> str:
        """The end of the guest's console once the guest has ended."""
        tunnel = self._tunnel
        return tunnel.console if isinstance(tunnel, GuestTunnel) else ""

    @property
    def machine(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def deploy(self, packages: Iterable[str]) -> None:
        """Send nothing: the guest sees the project and its Python."""
        self.python = PYTHON

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

    def ask(self, what: str, *, patience: float = 60.0, **options: Any) -> Any:
        if what == "disturbances":
            return disturbances.so_far()
        return super().ask(what, patience=patience, **options)

    def host(self, role: str, scratch: Path, seconds: float, on_command: OnCommand) -> GuestHost:
        trial = f"{self.prefix}{scratch.name}-{role}"
        return GuestHost(self, self.control, role, trial, self._entry, seconds, on_command)

    def control(self) -> socket.socket:
        """Return a connection to the keeper's socket `control`."""
        tunnel = self._live_tunnel()
        assert isinstance(tunnel, GuestTunnel)
        return tunnel.control()

    def conclude(self, trial: str = "") -> dict[str, dict[str, Any]]:
        """Return what the agent has kept of a trial: nothing after a power cut in it."""
        try:
            return super().conclude(trial)
        except HostLost:
            if self._tunnel is None or not self._tunnel.running:
                raise
            self._control = Conversation(self)
            return super().conclude(trial)
