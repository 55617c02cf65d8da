"""The kernel's NFS server as a system under test: a folder over NFS 3 and 4, from a guest.

Its programs come from the package nfs-kernel-server. A kernel has one such server, and its settings
are the whole machine's: it is for guests, whose kernel nobody else uses.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchpaper import Host, HostError, Process
from experiments.systems import nfs, server

VERSIONS = ("3", "4.0", "4.1", "4.2")
CONTROL, STATE = Path("/proc/fs/nfsd"), Path("/var/lib/nfs")
LEASES = Path("/proc/sys/fs/leases-enable")  # without leases, the server gives no delegation
LEASE_S = (10, 3600)  # what the kernel accepts
THREADS = 4
OPTIONS = "rw,no_root_squash,insecure,no_subtree_check,fsid=0"  # fsid 0: the root of version 4
LOCKS = Path("/proc/fs/lockd")  # the lock manager of version 3
PREPARE = 'mkdir -p "$0/v4recovery" && touch "$0/etab" "$0/rmtab"'
END = f"rpc.nfsd 0; exportfs -au; echo 1 > {LEASES}; umount {CONTROL}"
# rpc.mountd answers the kernel's questions about clients and exports through this file.
ANSWERS = "ls -l /proc/[0-9]*/fd 2> /dev/null | grep -q /net/rpc/nfsd.fh/channel"


def version(host: Host) -> str:
    """Return the version of a host's kernel, which is that of its server."""
    return server.first_line(host, ["uname", "-r"])


class Nfsd(nfs.Server):
    """The kernel's export of `folder` on `address` and `port`; `export` says where clients find it.

    The folder lies on a file system that the kernel can export; a guest's scratch folders do, its
    root does not. `delegations` is whether the server may hand files over to a client until it
    recalls them. `lease_s` is for how long a client's state lives without a sign from the client.
    """

    def __init__(
        self,
        host: Host,
        folder: Path | str,
        *,
        versions: Sequence[str] = VERSIONS,
        delegations: bool = True,
        lease_s: int = 90,
    ):
        if unknown := set(versions) - set(VERSIONS):
            raise ValueError(f"NFS {', '.join(unknown)} must be one of {', '.join(VERSIONS)}")
        if not LEASE_S[0] <= lease_s <= LEASE_S[1]:
            raise ValueError(f"lease_s {lease_s} is not in {LEASE_S[0]} to {LEASE_S[1]}")
        super().__init__(host)
        self.folder, self._versions = Path(folder), tuple(versions)
        self._delegations, self._lease_s = delegations, lease_s
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        self._refuse_second()
        self._host.undo("the kernel's NFS server", ["sh", "-c", END])
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _refuse_second(self) -> None:
        if self._host.run(["mountpoint", "-q", CONTROL], check=False).returncode:
            self._host.run(["mount", "-t", "nfsd", "nfsd", CONTROL])
        if self._host.run(["cat", CONTROL / "threads"]).stdout.strip() != "0":
            raise HostError(f"the kernel of {self._host.name} serves NFS already")

    def _start(self) -> None:
        run = self._host.run
        run(["sh", "-c", PREPARE, STATE])
        self._set(LEASES, int(self._delegations))
        for name in ("nfsv4leasetime", "nfsv4gracetime"):
            self._set(CONTROL / name, self._lease_s)
        if "3" in self._versions:  # the kernel refuses to serve it without a register of ports
            register, _ = server.start(
                self._host,
                "rpcbind",
                lambda: ["rpcbind", "-f", "-h", self.address],
                lambda: run(["rpcinfo", "-p", self.address]),
                ports=0,
            )
            self._processes.append(register)
        run(["exportfs", "-o", OPTIONS, f"*:{self.folder}"])
        mountd, [mount_port] = server.start(
            self._host,
            "rpc.mountd",
            lambda port: ["rpc.mountd", "--foreground", "--port", port],
            lambda port: run(["sh", "-c", ANSWERS]),
        )
        self._processes.append(mountd)
        self.port = self._host.free_port()
        words = [word for version in VERSIONS for word in self._allow(version)]
        run(["rpc.nfsd", "--host", self.address, "--port", self.port, *words, THREADS])
        # No client has a state of before to reclaim. While either of the two waits for one, the
        # server gives no delegation: that of version 3 waits for 50 s.
        self._set(CONTROL / "v4_end_grace", "Y")
        if "3" in self._versions:
            self._set(LOCKS / "nlm_end_grace", "Y")
        paths = {name: str(self.folder) if name == "3" else "/" for name in self._versions}
        self.export = nfs.Export(self.address, self.port, paths, mount_port)

    def _allow(self, version: str) -> list[Any]:
        """Return the words of rpc.nfsd that switch a version on or off."""
        return ["--nfs-version" if version in self._versions else "--no-nfs-version", version]

    def _set(self, path: Path, value: str | int) -> None:
        self._host.run(["sh", "-c", 'echo "$1" > "$0"', path, value])

    def delegations(self) -> int:
        """Return how many delegations clients hold now."""
        count = f"cat {CONTROL}/clients/*/states 2> /dev/null | grep -c 'type: deleg'"
        return int(self._host.run(["sh", "-c", count], check=False).stdout)

    def __exit__(self, *_: object) -> None:
        self._host.run(["sh", "-c", END], check=False)
        for process in reversed(self._processes):
            process.stop()
        self._processes.clear()
