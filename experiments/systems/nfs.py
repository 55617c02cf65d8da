"""What NFS servers have in common, and a client in user space (`nfs-rs`), which caches nothing.

See https://github.com/JayTsu-sh/nfs-rs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchpaper import Host
from experiments.systems import asking, packages, server

PACKAGE = packages.package("nfs-rs")  # also waits for every NFS server
EXPORT = "data"  # name of Ganesha's export; rclone exports its root


@dataclass(frozen=True)
class Export:
    """Where clients find a folder: `paths` is {version of NFS ("4.1"): its path on the server}.

    `mount_port` is where version 3 asks for the folder before it speaks to `port`.
    """

    address: str
    port: int
    paths: Mapping[str, str]
    mount_port: int | None = None


class Server(server.Started):
    """Base of the NFS servers: it listens on `address` and `port`; `export` is for its clients."""

    address: str
    port: int
    export: Export

    def __init__(self, host: Host):
        self._host, self.address = host, host.address

    def _serve(
        self,
        name: str,
        argv: server.CommandLine,
        paths: Mapping[str, str],
        *,
        mounts: bool = False,
        log: server.Log = lambda: "",
    ) -> None:
        """Start `argv(port)`, and wait until it answers for the first of `paths`.

        `mounts` is whether clients of version 3 ask for the folder at the same port.
        """
        self._argv = argv
        version, path = next(iter(paths.items()))
        self.process, [self.port] = server.start(
            self._host,
            name,
            argv,
            lambda port: asking.ask(
                self._host, check, self.address, port, version, path.strip("/")
            ),
            log=log,
        )
        self.export = Export(self.address, self.port, paths, self.port if mounts else None)


def client(
    address: str, port: int, version: str, *, export: str | None = None, timeout: int = 30
) -> Any:
    """Connect and return an `nfs_rs.Client`; use version "3" for rclone and "4.1" for Ganesha.

    Close it, or use it as a context manager. Paths are relative to the export ("a/b"; in 4.1 the
    root has no name: neither "." nor "" can be listed). A write returns once it is durable on the
    server.
    """
    import nfs_rs

    if export is None:
        export = "" if version == "3" else EXPORT
    host = f"[{address}]" if ":" in address else address
    # Without noresvport the client takes a port below 1024; with nfsport and mountport it asks no
    # port mapper.
    options = f"version={version}&noresvport=true&nfsport={port}&mountport={port}"
    return nfs_rs.Client.connect(
        f"nfs://{host}/{export}?{options}",
        uid=0,
        gid=0,
        connect_timeout=min(timeout, 5),
        operation_timeout=timeout,
    )


def check(address: str, port: int, version: str, export: str | None = None) -> None:
    """Raise unless the server answers a query about a file."""
    with client(address, port, version, export=export, timeout=5) as connected:
        connected.exists("none-of-that-name")


def read(connected: Any, path: str) -> bytes:
    """Return a whole file."""
    with connected.open(path, "rb") as file:
        return file.read()


def write(connected: Any, path: str, content: bytes) -> None:
    """Create or replace a file."""
    with connected.open(path, "wb") as file:
        file.write(content)
