"""The kernel's NFS client: an export of any NFS server here, mounted on a host, often a guest.

It needs root there, and the package nfs-common. Unlike `nfs` and `libnfs` it caches attributes,
names, folders and contents: nfs(5) has its options.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchpaper import Host
from experiments.systems import nfs

TIMEOUT_S = 60.0


class NfsMount:
    """An export mounted by the kernel at `path`, as a context manager.

    `version` is one of the export's. `options` are those of nfs(5), such as "noac". A second mount
    of the same server shares caches with the first, unless both have "nosharecache".
    """

    path: Path

    def __init__(
        self, host: Host, export: nfs.Export, version: str, *, options: Sequence[str] = ()
    ):
        if version not in export.paths:
            raise ValueError(
                f'the server has no NFS "{version}", but {", ".join(sorted(export.paths))}'
            )
        self._host, self._source = host, f"{export.address}:{export.paths[version]}"
        self._options = ",".join([*_reach(export, version), *options])

    def __enter__(self) -> Self:
        self.path = self._host.scratch()
        # Requests that wait for a dead server end with an error, so that no process hangs on them.
        self._host.undo("an NFS mount", ["umount", "-f", "-l", self.path])
        words: list[Any] = ["mount", "-t", "nfs", "-o", self._options, self._source, self.path]
        self._host.run(words, timeout=TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        gently = 'umount "$0" || umount -f -l "$0"'
        self._host.run(["sh", "-c", gently, self.path], check=False, timeout=TIMEOUT_S)

    def options(self) -> dict[str, str]:
        """Return the options in force: {option: value}, with "" for those without a value."""
        return options_of(self._host, self.path)

    def requests(self) -> dict[str, int]:
        """Return how many requests of each kind the client has sent for this mount: {kind: n}.

        Mounts that share caches also share these counters.
        """
        text = self._host.run(["cat", "/proc/self/mountstats"]).stdout
        _, _, ours = text.partition(f" mounted on {self.path} ")
        ours = ours.partition("\ndevice ")[0].partition("per-op statistics")[2]
        lines = (line.split() for line in ours.splitlines() if line.strip())
        return {words[0].rstrip(":"): int(words[1]) for words in lines}


def options_of(host: Host, path: Path | str) -> dict[str, str]:
    """Return the options in force of what is mounted at a path, as `NfsMount.options` does."""
    words: list[Any] = ["findmnt", "--noheadings", "--output", "OPTIONS", "--mountpoint", path]
    pairs = (word.partition("=") for word in host.run(words).stdout.strip().split(","))
    return {name: value for name, _, value in pairs}


def _reach(export: nfs.Export, version: str) -> list[str]:
    """Return the options that lead to a server without asking its port mapper or lock manager."""
    words = [f"vers={version}", "proto=tcp", f"port={export.port}"]
    if version == "3":
        words += [f"mountport={export.mount_port}", "mountproto=tcp", "nolock"]
    return words
