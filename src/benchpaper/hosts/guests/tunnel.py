"""The way to the agent in a guest: a running keeper (`guests.keeper`) in place of `ssh`."""

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from benchpaper.core.project import Project
from benchpaper.hosts import emulated_kernel, endings
from benchpaper.hosts.emulated_kernel import Kernel
from benchpaper.hosts.guests import console, keeper, view
from benchpaper.hosts.guests.loopback import HERE, PORTS, Loopback
from benchpaper.hosts.guests.machine import KINDS
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh.tunnel import Tunnel

PREFIX = 24
LAST_WORDS_S = keeper.ENDING_S + 1.0


class GuestTunnel(Tunnel):
    """A running keeper; making the object starts to boot its guest.

    `entry` is the guest in the site file, and `port` the descriptor that leads to its network, if
    no interface does.
    """

    closing_s = 4 * keeper.ENDING_S  # the next guest needs what this one holds

    def __init__(self, project: Project, entry: HostEntry, port: int | None):
        self._loopback = Loopback(entry.address, entry.loopback) if entry.loopback else None
        here = self._loopback.end.fileno() if self._loopback else None
        try:
            super().__init__(
                project.state / "connections",
                lambda folder: _command(project, entry, folder, port, here),
                data=b"",
                descriptors=[number for number in (port, here) if number is not None],
            )
        except BaseException:
            if self._loopback:
                self._loopback.close()
            raise

    @property
    def processes(self) -> list[int]:
        """The ids of the processes here that serve the guest."""
        return [self.pid, *([self._loopback.pid] if self._loopback else [])]

    def failure(self) -> str:
        """Return why the guest cannot be used though its agent answers, or an empty string."""
        return self._loopback.failure() if self._loopback else ""

    def close(self) -> None:
        if self._loopback and not self.closed:
            self._loopback.close()
        super().close()

    def forward(self, remote_socket: str, timeout: float) -> str:
        """Do nothing: the keeper carries connections from the start."""
        return ""

    def control(self) -> socket.socket:
        """Return a connection to the keeper's socket `control`.

        Raises `OSError` when the keeper is gone.
        """
        self._check_open()
        connection = socket.socket(socket.AF_UNIX)
        try:
            # By descriptor, because the path may be too long for the address of a socket.
            connection.connect(f"/proc/self/fd/{self._directory}/{keeper.CONTROL}")
        except OSError:
            connection.close()
            raise
        return connection

    def last_words(self) -> str:
        """Return why the keeper failed, or else the end of the guest's console.

        Give a guest that goes down the time to say why.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_WORDS_S)
        status = self._process.poll()
        if status is not None and status < 0:
            return f"the process that held it ended with {endings.plain(status)}"
        failure = "" if status is None else self._errors.text()
        return failure or console.tail(self._folder)

    def why_no_answer(self, waited_s: float) -> str:
        """Return why the guest does not answer, with the end of its console."""
        said = self.last_words()
        quoted = f"its console ends: {said}" if said else "its console is empty"
        if self.running:
            return f"it did not boot within {waited_s:g} s; {quoted}"
        return f"it did not boot; {quoted}"


def _command(
    project: Project, entry: HostEntry, folder: Path, port: int | None, loopback: int | None
) -> list[str]:
    machine, kernel = KINDS[entry.kind], kernel_of(entry)
    memory = entry.memory or machine.MEMORY_MIB
    places: dict[str, Path | str] = {}
    if kernel:
        places = {view.KERNEL: kernel.image, view.MODULES: kernel.modules}
        places[view.INITIAL_DISK] = folder / keeper.INITIAL_DISK
    plan = keeper.Plan(
        kind=entry.kind,
        sandbox=view.words(project, folder / keeper.EXCHANGE, bool(entry.tap), places),
        kernel=[kernel.version, str(kernel.image), str(kernel.modules)] if kernel else [],
        tap=entry.tap,
        port=port,
        loopback=loopback,
        memory_mib=memory,
        disk_mib=entry.disk or 0,
        source=str(view.SOURCE),
        programs=str(project.state / "guests"),
        options={
            "name": entry.name,
            "address": entry.address,
            "prefix": PREFIX,
            "loopback": {"here": HERE, "ports": PORTS} if entry.loopback else None,
            "memory_mib": memory,
            "shown": [*view.shown(project), *([view.MODULES] if kernel else [])],
            "exchange": machine.EXCHANGE,
            "interface": machine.INTERFACE,
            "line": machine.LINE,
            "python": sys.executable,
            "python_path": [str(project.root), str(view.SOURCE)],
        },
    )
    return [sys.executable, "-P", "-m", keeper.__name__, plan.to_json()]


def kernel_of(entry: HostEntry) -> Kernel | None:
    """Return the kernel that a guest boots if it is emulated; others come with their own."""
    return emulated_kernel.kernel() if entry.kind == "qemu" else None
