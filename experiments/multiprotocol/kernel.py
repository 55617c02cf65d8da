"""The kernel's NFS client as a client of the systems: its mounts, each a system of its own name.

A name is that of the server, "kernel", and what differs from an ordinary mount: an option of
nfs(5), the version of NFS, two mounts of one export, or a server that hands out no delegations.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """Mounts of a server: with this version of NFS, and these options of nfs(5).

    With two `mounts`, the probes' views take turns. Whether they share a cache is up to the option
    "nosharecache". `delegations` is whether the server may hand files over to the client.
    """

    server: str
    version: str
    options: tuple[str, ...] = ()
    mounts: int = 1
    delegations: bool = True


LATEST = {"rclone": "3", "ganesha": "4.2", "rgw": "4.2", "nfsd": "4.2"}
OPTIONS = ("noac", "actimeo=1", "nocto", "lookupcache=none")
FEWER = {"rgw": ("noac", "sync")}  # of a server that takes long to start
OLDER = {"ganesha": ("4.1",), "nfsd": ("3", "4.1")}
TWO_MOUNTS = ("nfsd",)
DELEGATING = ("nfsd",)  # Ganesha hands out none by default; rclone speaks version 3, without them


def _clients(server: str) -> Iterator[tuple[str, Client]]:
    name, latest = f"{server} kernel", LATEST[server]
    yield name, Client(server, latest)
    for option in FEWER.get(server, OPTIONS):
        yield f"{name} {option}", Client(server, latest, (option,))
    for version in OLDER.get(server, ()):
        yield f"{name} v{version}", Client(server, version)
    if server in TWO_MOUNTS:
        yield f"{name} two mounts", Client(server, latest, mounts=2)
        apart = Client(server, latest, ("nosharecache",), mounts=2)
        yield f"{name} two mounts nosharecache", apart
    if server in DELEGATING:
        yield f"{name} undelegated", Client(server, latest, delegations=False)


CLIENTS = {name: client for server in LATEST for name, client in _clients(server)}
