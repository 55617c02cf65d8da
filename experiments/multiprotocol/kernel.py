"""The kernel's NFS client as a client of the systems: its mounts, each a system of its own name.

A name is that of the server, "kernel", and what differs from an ordinary mount: an option of
nfs(5), or the version of NFS.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """A mount of a server: with this version of NFS, and these options of nfs(5)."""

    server: str
    version: str
    options: tuple[str, ...] = ()


LATEST = {"rclone": "3", "ganesha": "4.2", "nfsd": "4.2"}
OPTIONS = ("noac", "actimeo=1", "nocto", "lookupcache=none")
OLDER = {"ganesha": ("4.1",), "nfsd": ("3", "4.1")}


def _clients(server: str) -> Iterator[tuple[str, Client]]:
    name, latest = f"{server} kernel", LATEST[server]
    yield name, Client(server, latest)
    for option in OPTIONS:
        yield f"{name} {option}", Client(server, latest, (option,))
    for version in OLDER.get(server, ()):
        yield f"{name} v{version}", Client(server, version)


CLIENTS = {name: client for server in LATEST for name, client in _clients(server)}
