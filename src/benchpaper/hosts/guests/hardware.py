"""The parts of a guest's machine."""

import ipaddress
from dataclasses import dataclass

LOCAL_MAC = b"\x02\x00"  # begins an Ethernet address that no manufacturer gave; IPv4's follows


@dataclass(frozen=True)
class Hardware:
    """A guest's memory, disk, and network.

    `disk` is the path of the file with its disk, or "". `tap` is the interface here that leads to
    the guest; without one, the descriptor `port` does. `address` is its IPv4 address.
    """

    memory_mib: int
    disk: str
    tap: str | None
    port: int | None
    address: str

    @property
    def mac(self) -> str:
        """The Ethernet address of the guest."""
        packed = ipaddress.IPv4Address(self.address).packed
        return ":".join(f"{byte:02x}" for byte in LOCAL_MAC + packed)
