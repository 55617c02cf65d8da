"""Soft-RoCE: the kernel's RDMA device over an ordinary network interface (`rdma_rxe`).

Programs run their verbs code on it, and the device counts its packets. An emulated guest has it;
what it costs in time says nothing about an adapter.
"""

from collections.abc import Mapping

from benchpaper import Host

DEVICE, PORT = "rxe0", 1
COUNTERS = f"/sys/class/infiniband/{DEVICE}/ports/{PORT}/hw_counters"
# Counters of the device: packets, and requests that it saw before.
SENT, RECEIVED, REPEATED = "sent_pkts", "rcvd_pkts", "duplicate_request"
# Counters of the interface below it: bytes on the wire, headers included.
BYTES_SENT, BYTES_RECEIVED = "tx_bytes", "rx_bytes"


def interface(host: Host) -> str:
    """Return the network interface of a host that has its address."""
    words = host.run(["ip", "-o", "addr", "show", "to", host.address]).stdout.split()
    return words[1].partition("@")[0]


def device(host: Host) -> str:
    """Return the soft-RoCE device of a host, as UCX names it; make it if there is none yet.

    It lives as long as the guest: only guests are given one.
    """
    script = f'rdma link show {DEVICE}/{PORT} 2>&- || rdma link add {DEVICE} type rxe netdev "$0"'
    host.run(["sh", "-c", script, interface(host)], timeout=60)
    return f"{DEVICE}:{PORT}"


def counter_folders(host: Host) -> str:
    """Return the folders whose files count packets and bytes, separated by colons."""
    return f"{COUNTERS}:/sys/class/net/{interface(host)}/statistics"


def counters(host: Host) -> Mapping[str, int]:
    """Return {counter: value} of the device."""
    text = host.run(["sh", "-c", f'cd {COUNTERS} && grep -H "" *']).stdout
    pairs = (line.split(":") for line in text.splitlines())
    return {name: int(value) for name, value in pairs}
