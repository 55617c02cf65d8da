"""The parts of a guest's machine."""

import ipaddress
from dataclasses import dataclass

# Begins an Ethernet address that no manufacturer gave; the interface's number and IPv4's follow.
LOCAL_MAC = 0x02


@dataclass(frozen=True)
class Hardware:
    """A guest's memory, disk, and network.

    `disk` is the path of the file with its disk, or "". `tap` is the interface here that leads to
    the guest; without one, the descriptor `port` does. The descriptor `loopback` leads to the
    loopback of this machine, if anything does. `address` is its IPv4 address.
    """

    memory_mib: int
    disk: str
    tap: str | None
    port: int | None
    loopback: int | None
    address: str

    @property
    def mac(self) -> str:
        """The Ethernet address of the guest."""
        return self.mac_of(0)

    def mac_of(self, interface: int) -> str:
        """Return the Ethernet address of one of its interfaces."""
        packed = ipaddress.IPv4Address(self.address).packed
        return ":".join(f"{byte:02x}" for byte in (LOCAL_MAC, interface, *packed))
