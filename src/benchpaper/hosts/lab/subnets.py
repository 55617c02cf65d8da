"""Chooses addresses for a lab: a subnet of 198.18.0.0/15 that this machine does not reach yet.

RFC 2544 sets these addresses aside for benchmarks of networks.
"""

import ipaddress
import socket
import struct
from pathlib import Path

from benchpaper.core.errors import UserError
from benchpaper.hosts import facts

SUBNETS = [f"198.{18 + number // 256}.{number % 256}" for number in range(512)]


def free(first: int) -> str:
    """Return the first three numbers of a free /24 subnet; the search begins at number `first`.

    A subnet is taken if an interface has an address in it, or if a route other than the default one
    leads to an address in it. Raises `UserError` if all are taken.
    """
    taken = _taken()
    for step in range(len(SUBNETS)):
        subnet = SUBNETS[(first + step) % len(SUBNETS)]
        network = ipaddress.ip_network(f"{subnet}.0/24")
        if not any(network.overlaps(other) for other in taken):
            return subnet
    raise UserError(
        "198.18.0.0/15 is in use on this machine, by interfaces or routes; remove other labs"
    )


def _taken() -> list[ipaddress.IPv4Network]:
    networks = [ipaddress.IPv4Network(address) for address in facts.addresses().values()]
    return networks + routed(Path("/proc/net/route").read_text())


def routed(table: str) -> list[ipaddress.IPv4Network]:
    """Return the networks in a table of routes (/proc/net/route) without the default route."""
    networks = []
    for line in table.splitlines()[1:]:
        destination, mask = (_dotted(line.split()[column]) for column in (1, 7))
        if mask != "0.0.0.0":
            networks.append(ipaddress.IPv4Network(f"{destination}/{mask}", strict=False))
    return networks


def _dotted(digits: str) -> str:
    return socket.inet_ntoa(struct.pack("<I", int(digits, 16)))
