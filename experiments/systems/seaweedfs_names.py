"""A bucket of SeaweedFS with a great many names, made once and kept as a folder.

A PUT of each object would take a quarter of an hour for a million of them. So a few objects are
put, and what the filer notes of them is loaded again under further names, by SeaweedFS's own shell.
Each name has an entry of its own in the filer's store, as after a PUT; the entries share chunks. A
listing reads entries alone; what reads every object would differ.
"""

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchpaper import Host
from experiments.systems import s3
from experiments.systems.seaweedfs import SeaweedFS, binary

Put = Callable[[s3.Endpoint], None]
AT_ONCE = 8
LOAD_S = 3600.0  # at most, on a busy machine
LENGTH_BYTES = 4


class Kept(SeaweedFS):
    """Servers that keep all in the folder `data` of the host, at first a copy of `start_from`."""

    data: Path

    def __init__(self, host: Host, start_from: Path | None = None):
        super().__init__(host)
        self._start_from = start_from

    def _command(self, folder: Path) -> list[Any]:
        self.data = folder / "data"
        if self._start_from is not None:
            kept = self._host.provide(self._start_from)
            self._host.run(["cp", "-r", f"{kept}/.", self.data])
        return super()._command(folder)

    def shell(self, command: str, timeout: float) -> None:
        """Run a command of SeaweedFS's shell."""
        filer = f"{self.filer}.{self._filer_ports[1]}"
        words = ["shell", "-master", self._master, "-filer", filer]
        weed = self._host.provide(binary())
        argv: list[Any] = ["sh", "-c", 'echo "$0" | "$@"', command, weed, *words]
        self._host.run(argv, timeout=timeout)


def make(
    image: Path, host: Host, counts: Mapping[str, int], put: Put, timeout: float = LOAD_S
) -> Path:
    """Make the folder `image` unless it exists, and return it; `Kept` starts from it.

    `counts` are {prefix: names below it}. `put(endpoint)` puts the first objects below each prefix,
    under the names 0000000, 0000001, and so on. The folder gets its name once it is whole. Raises
    `ValueError` if SeaweedFS does not list all names.
    """
    if image.exists():
        return image
    part, folder = image.with_name(f".{image.name}.part"), host.scratch()
    with Kept(host) as servers:
        put(servers.endpoint)
        bucket = f"/buckets/{servers.endpoint.bucket}"
        servers.shell(f"fs.meta.save -o {folder}/first.meta {bucket}", timeout)
        first = split((folder / "first.meta").read_bytes())
        last: deque[bytes] = deque(maxlen=4 * AT_ONCE)
        with open(folder / "all.meta", "wb") as file:
            for entry in further(first, bucket, counts):
                last.append(len(entry).to_bytes(LENGTH_BYTES, "big") + entry)
                file.write(last[-1])
            # The shell ends before what it has begun has come (SeaweedFS 4.48): these come twice.
            file.writelines(last)
        load = f"fs.meta.load -v=false -concurrency={AT_ONCE} {folder}/all.meta"
        servers.shell(load, timeout)
        (folder / "all.meta").unlink()
        for prefix, count in counts.items():
            batches = servers.endpoint.obstore().list(prefix=f"{prefix}/")
            if (listed := sum(map(len, batches))) != count:
                raise ValueError(f"{prefix}: SeaweedFS lists {listed} of {count} names")
    image.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(servers.data, part)
    os.sync()  # later runs trust whatever has the name
    part.rename(image)
    return image


def split(saved: bytes) -> list[bytes]:
    """Return the entries that `fs.meta.save` wrote: each after its length."""
    entries, at = [], 0
    while at < len(saved):
        end = at + LENGTH_BYTES + int.from_bytes(saved[at : at + LENGTH_BYTES], "big")
        entries.append(saved[at + LENGTH_BYTES : end])
        at = end
    return entries


def further(first: list[bytes], bucket: str, counts: Mapping[str, int]) -> Iterator[bytes]:
    """Yield an entry for each name that was not put, like that of one that was, in turn.

    An entry is a protocol buffer: field 1 is its folder, and field 1 of what follows its name.
    Raises `ValueError` if nothing was put below a prefix, or SeaweedFS writes another form.
    """
    for prefix, count in counts.items():
        folder = f"{bucket}/{prefix}".encode()
        head = b"\n" + bytes([len(folder)]) + folder + b"\x12"
        those = [entry for entry in first if entry.startswith(head)]
        if not those:
            raise ValueError(f"SeaweedFS has saved no entry below {prefix}; its form may be new")
        for number in range(len(those), count):
            like = number % len(those)
            old, new = (b"\n\x07%07d" % n for n in (like, number))
            entry = those[like].replace(old, new, 1)
            if entry == those[like]:
                raise ValueError(f"the entry of {prefix}/{like:07d} has another form")
            yield entry
