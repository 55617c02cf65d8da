"""Makes the connection to a target host over SSH, by the system's `ssh`.

The agent (`hosts.agent`) runs at its other end, as it does behind other tunnels
(`AgentConnecting`).
"""

import shutil
from collections.abc import Mapping
from typing import Any

from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.hosts import HostError
from benchpaper.hosts.agent import wire
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh import boot, link
from benchpaper.hosts.ssh.conversation import Conversation
from benchpaper.hosts.ssh.link import SshLink, Unreachable
from benchpaper.hosts.ssh.ssh_tunnel import OPTIONS, SshTunnel
from benchpaper.hosts.ssh.tunnel import Tunnel

__all__ = ["OPTIONS", "SILENCE_S", "AgentConnecting", "SshConnecting", "Unreachable"]

GREETING_S = 20.0  # for the agent to answer
SILENCE_S = 15.0  # after so long without a heartbeat, the agent ends everything


class AgentConnecting:
    """A host of a site whose agent is about to answer through `tunnel`.

    `entry` is the host in the site file.
    """

    greeting_s = GREETING_S  # for the agent to greet
    answer_s: float | None = None  # as a conversation's

    def __init__(self, project: Project, site_name: str, entry: HostEntry, tunnel: Tunnel):
        self._project, self._site, self._entry = project, site_name, entry
        self._tunnel = tunnel

    def complete(self) -> SshLink:
        """Wait until the agent answers, and return the connection.

        Raises `Unreachable`, with the reason and the next step, when it does not.
        """
        try:
            return self._complete()
        except HostError as error:
            self.close()
            raise Unreachable(
                f'host "{self._entry.name}" of site "{self._site}": {error}'
            ) from None

    def close(self) -> None:
        """End the connection, and with it all processes behind it."""
        self._tunnel.close()

    def _complete(self) -> SshLink:
        greeting = self._greeting()
        if why := self._tunnel.forward(greeting["socket"], GREETING_S):
            raise HostError(why)
        name = self._entry.name
        connection = link.connect(self._tunnel, name)
        control = Conversation(connection, name, self._tunnel.last_words, self.answer_s)
        try:
            self._check_address(control)
            return self._link(control, greeting)
        except BaseException:
            control.close()
            raise

    def _link(self, control: Conversation, greeting: Mapping[str, Any]) -> SshLink:
        return SshLink(self._project, self._site, self._entry, self._tunnel, control, greeting)

    def _greeting(self) -> dict[str, Any]:
        """Return the agent's description of its host. Raises `HostError` when none comes."""
        try:
            greeting = self._tunnel.read_answer(self.greeting_s)
        except wire.Malformed as error:
            raise HostError(f"it sent {error}; see what it runs instead of the agent") from None
        if greeting is None:
            raise HostError(self._tunnel.why_no_answer(self.greeting_s))
        if why := boot.complaint(greeting):
            raise HostError(why)
        if "socket" not in greeting:
            raise HostError("it sent no greeting; see what it runs instead of the agent")
        return greeting

    def _check_address(self, control: Conversation) -> None:
        addresses, address = control.call("addresses"), self._entry.address
        wanted = self._entry.interface
        if wanted and addresses.get(wanted) != address:
            shown = ", ".join(f"{interface} {other}" for interface, other in addresses.items())
            raise HostError(
                f"its interface {wanted} does not have the address {address} of the site file "
                f"(there are: {shown})"
            )


class SshConnecting(AgentConnecting):
    """A host of a site to which `ssh` connects; making the object starts to connect."""

    def __init__(self, project: Project, site_name: str, entry: HostEntry):
        if not shutil.which("ssh"):
            raise UserError("no ssh on PATH; install the package openssh-client")
        state = project.state / "connections"
        tunnel = SshTunnel(project.root, state, entry, SILENCE_S)
        super().__init__(project, site_name, entry, tunnel)
