"""A guest in one trial: a host with faults that need a kernel of its own."""

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchpaper.hosts import Host, HostError, HostLost, OnCommand
from benchpaper.hosts.guests.loopback import HERE, LEADS_TO
from benchpaper.hosts.guests.machine import KINDS
from benchpaper.hosts.guests.uml import LOOPBACK
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh.remote import Connection, SshHost

DROP_ALL = ("matchall", "action", "drop")


class GuestHost(SshHost):
    """A guest in one trial. Whatever a fault leaves is undone at the trial's end."""

    def __init__(
        self,
        connection: Connection,
        control: Callable[[], socket.socket],
        role: str,
        trial: str,
        entry: HostEntry,
        seconds: float,
        on_command: OnCommand,
    ):
        super().__init__(connection, role, trial, entry, seconds, on_command)
        self._control, self.loopback = control, entry.loopback
        self._machine, self._has_disk = KINDS[entry.kind], bool(entry.disk)
        self._interfaces = [self._machine.INTERFACE, *([LOOPBACK] if entry.loopback else [])]

    def provide(self, path: Path | str) -> Path:
        """Return where `path` lies in the guest: in place if it belongs to the Python environment.

        Anything else goes to the guest's store: while a file is open in a guest, the guest may see
        an old state of it, and a copy under its content's name has only one.
        """
        resolved = Path(path).resolve()
        if any(resolved.is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix)):
            return resolved
        return super().provide(path)

    @property
    def disk(self) -> str:
        """The device of its disk, if the site file gives it one."""
        return self._machine.DISK

    # ---- the link ----

    def netem(self, *words: str) -> None:
        """Set what the link does to frames that the guest sends, as tc-netem(8) writes it.

        Examples are `netem("delay", "10ms", "2ms")`, `netem("loss", "1%")`, and `netem("rate",
        "100mbit")`. Without words the link is as before.
        """
        for interface in self._interfaces:
            remove = ["tc", "qdisc", "del", "dev", interface, "root"]
            if not words:
                self.run(remove, check=False)
                continue
            self.undo("a link's delay or loss", remove)
            self.run(["tc", "qdisc", "replace", "dev", interface, "root", "netem", *words])

    def partition(self) -> None:
        """Cut the guest off its network, both ways, until `heal` or the trial's end."""
        for interface in self._interfaces:
            self.undo("a partition", _heal(interface))
            self.run(["tc", "qdisc", "replace", "dev", interface, "clsact"])
            for way in ("ingress", "egress"):
                self.run(["tc", "filter", "add", "dev", interface, way, *DROP_ALL])

    def heal(self) -> None:
        """End a partition."""
        for interface in self._interfaces:
            self.run(_heal(interface))

    def address_of(self, other: Host) -> str:
        return HERE if self.loopback and other.address == LEADS_TO else other.address

    # ---- the machine ----

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the whole guest, kernel included, within the `with` block. Time goes on meanwhile.

        Do not use the guest within the block: it does not answer.
        """
        with self._ask("freeze"):
            yield

    def power_cut(self) -> None:
        """Switch the guest off without warning, and boot it again on its disk, `disk`.

        What its kernel had not written to the disk is lost, and so is everything outside the disk.
        Raises `HostError` if the site file gives the guest no disk.
        """
        if not self._has_disk:
            advice = 'give it one in the site file ("disk: 200", in MiB)'
            raise HostError(f"{self.name} has no disk that a power cut could spare; {advice}")
        self.close()
        self._sessions.clear()
        with self._ask("power cut"):
            pass

    @contextmanager
    def _ask(self, words: str) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self._control())
                connection.settimeout(self._machine.BOOT_S)
                connection.sendall(words.encode())
                answer: dict[str, Any] = json.loads(connection.makefile().readline() or "null")
            except (ConnectionError, TimeoutError):
                raise HostLost(f"{self.name} does not answer after a {words}") from None
            if answer is None:
                raise HostLost(f"{self.name} did not survive a {words}")
            if answer["error"]:
                raise HostError(f"{words} of {self.name}: {answer['error']}")
            yield


def _heal(interface: str) -> list[str]:
    return ["tc", "qdisc", "del", "dev", interface, "clsact"]
