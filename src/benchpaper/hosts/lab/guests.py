"""The guests of a lab: their network interfaces here, and their entries in the site file.

The lab does not boot them. That is done by each command that connects to the site, so that a guest
is fresh for each block, and so that none outlives what uses it.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from benchpaper.core.errors import UserError
from benchpaper.hosts import emulated_kernel, guest_kernel
from benchpaper.hosts.lab.commands import call, limit
from benchpaper.hosts.site import GUESTS

FIRST_ADDRESS = 100  # of a guest, in the subnet; hosts in namespaces come before


def tap(bridge: str, number: int) -> str:
    return f"{bridge}-g{number}"


def address(subnet: str, number: int) -> str:
    return f"{subnet}.{FIRST_ADDRESS + number}"


def make_tap(bridge: str, number: int, rate: str | None) -> None:
    """Make the interface that leads to a guest, and join it to the lab's bridge.

    `rate` limits what it sends to the guest; what a guest sends, it limits itself (tc in it).
    """
    link = tap(bridge, number)
    call(["ip", "tuntap", "add", link, "mode", "tap", "user", str(os.geteuid())])
    call(["ip", "link", "set", link, "master", bridge, "up"])
    if rate:
        call(["tc", "qdisc", "add", "dev", link, *limit(rate)])


def check(kind: str) -> None:
    """Raise `UserError`, with the next step, unless this machine can boot such guests."""
    if why := emulated_kernel.lacking_for(kind):
        raise UserError(f"this machine cannot boot guests: {why}")


def entries(subnet: str, bridge: str | None, guests: int, kind: str) -> list[Any]:
    """Return the guests' entries in the site file. Without a bridge, they join by sockets."""
    return [
        {
            "name": f"guest{number}",
            "kind": kind,
            "address": address(subnet, number),
            **({"tap": tap(bridge, number)} if bridge else _loopback(subnet, number, kind)),
            "roles": ["server", "client"],
        }
        for number in range(1, guests + 1)
    ]


def _loopback(subnet: str, number: int, kind: str) -> dict[str, str]:
    """Return how a guest without a tap and this machine reach each other, if passt is here."""
    own = address(subnet, number).partition(".")[2]
    is_possible = kind == "uml" and shutil.which(guest_kernel.FORWARDER)
    return {"loopback": f"127.{own}"} if is_possible else {}


def addresses(site_file: Path) -> dict[str, str]:
    """Return {guest: its address} of the guests in a lab's site file; none if it is gone."""
    if not site_file.exists():
        return {}
    listed = yaml.safe_load(site_file.read_text())["hosts"]
    return {host["name"]: host["address"] for host in listed if host["kind"] in GUESTS}
