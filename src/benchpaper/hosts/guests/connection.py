"""Boots a guest when a site's hosts are connected."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchpaper.core.project import Project
from benchpaper.hosts import HostError, emulated_kernel, guest_kernel
from benchpaper.hosts.guests.link import GuestLink
from benchpaper.hosts.guests.machine import KINDS
from benchpaper.hosts.guests.network import Network
from benchpaper.hosts.guests.tunnel import GuestTunnel
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh.connection import AgentConnecting
from benchpaper.hosts.ssh.conversation import Conversation
from benchpaper.hosts.ssh.link import Unreachable


class GuestConnecting(AgentConnecting):
    """A guest of a site; making the object starts to boot it.

    `entry` is the guest in the site file. `network` joins the guests that have no interface here.
    Raises `Unreachable` if this machine cannot boot it.
    """

    def __init__(self, project: Project, site_name: str, entry: HostEntry, network: Network):
        if why := _hindrance(entry):
            raise Unreachable(f'host "{entry.name}" of site "{site_name}": {why}')
        self.greeting_s, self.answer_s = KINDS[entry.kind].BOOT_S, KINDS[entry.kind].ANSWER_S
        port = None if entry.tap else network.port(entry.name)
        self._guest, self._network = GuestTunnel(project, entry, port), network
        super().__init__(project, site_name, entry, self._guest)

    def _link(self, control: Conversation, greeting: Mapping[str, Any]) -> GuestLink:
        if why := self._guest.failure():
            raise HostError(f"it does not reach this machine's loopback: {why}")
        return GuestLink(
            self._project, self._site, self._entry, self._guest, control, greeting, self._network
        )


def _hindrance(entry: HostEntry) -> str:
    """Return why this machine cannot boot a guest, with the next step, or ""."""
    if why := emulated_kernel.lacking_for(entry.kind):
        return f"this machine cannot boot guests: {why}"
    if entry.tap and not Path("/sys/class/net", entry.tap).exists():
        advice = 'run "benchpaper lab up --guests N" again, or leave the key out'
        return f"its network interface {entry.tap} (tap) does not exist; {advice}"
    if entry.loopback and not shutil.which(guest_kernel.FORWARDER):
        advice = f"install the package {guest_kernel.FORWARDER}, or leave the key out"
        return f"its key loopback needs {guest_kernel.FORWARDER}; {advice}"
    return ""
