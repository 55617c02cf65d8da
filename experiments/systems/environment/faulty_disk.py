"""A disk that loses, fails or delays what it is asked for, or whose power goes.

It is a file of the host with a layer of the device mapper over it. A cell that has one needs
`needs(kind)`.
"""

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from benchpaper import Host, capability
from experiments.systems.environment import device_mapper
from experiments.systems.environment.memory_limit import LEAST_MB, MAKE


class FaultyDisk:
    """File system of a `kind` (ext4, xfs, btrfs) on a disk with faults, mounted at `path`.

    `size_mb` is its size in MiB. The file grows with what is written. `options` are those of
    mount(8), as "noatime". A new fault takes the place of the one before; `heal` ends it. Raises
    `ValueError` for another kind, and for a size that is too small for it.
    """

    path: Path

    def __init__(self, host: Host, kind: str, size_mb: int, options: str = ""):
        if kind not in MAKE:
            raise ValueError(f'file system "{kind}" must be one of {", ".join(MAKE)}')
        if size_mb < LEAST_MB[kind]:
            raise ValueError(
                f"{size_mb} MiB is less than {kind} takes; give {LEAST_MB[kind]} or more"
            )
        self._host, self._kind, self._size_mb, self._options = host, kind, size_mb, options
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._make(stack)
            self._stack = stack.pop_all()
        return self

    def _make(self, stack: ExitStack) -> None:
        run, folder = self._host.run, self._host.scratch()
        image, self.path = folder / "image", folder / "mounted"
        run(["truncate", "-s", f"{self._size_mb}M", image])
        run(["mkdir", self.path])
        loop = device_mapper.LoopDevice(run, image)
        self._host.undo("a loop device", loop.undo)
        self._below = (stack.enter_context(loop).path, device_mapper.sectors_of(self._size_mb))
        run([*MAKE[self._kind], self._below[0]])
        self._layer = device_mapper.Layer(run, device_mapper.plain(*self._below))
        self._host.undo("a device with faults", self._layer.undo)
        stack.enter_context(self._layer)
        self._host.undo("a mount", ["umount", self.path])
        self._mount()
        stack.callback(self._unmount)

    def __exit__(self, *_: object) -> None:
        """Remove the disk; a fault ends first, because the file system waits for its writes."""
        with self._stack:
            self.heal()

    def _mount(self) -> None:
        options = ["-o", self._options] if self._options else []
        self._host.run(["mount", "-t", self._kind, *options, self._layer.path, self.path])

    def _unmount(self) -> None:
        self._host.run(["umount", self.path])

    # ---- faults ----

    def drop_writes(self) -> None:
        """Acknowledge all writes from now on, and lose them; flushes too."""
        self._layer.replace(device_mapper.flakey(*self._below, "drop_writes"))

    def fail_writes(self) -> None:
        """Answer all writes from now on with an I/O error."""
        self._layer.replace(device_mapper.flakey(*self._below, "error_writes"))

    def fail(self) -> None:
        """Answer all reads and writes from now on with an I/O error."""
        self._layer.replace(device_mapper.flakey(*self._below))

    def delay(self, read_ms: int, write_ms: int) -> None:
        """Complete each read and each write, flushes included, so many ms later."""
        self._layer.replace(device_mapper.delay(*self._below, read_ms, write_ms))

    def heal(self) -> None:
        """End the fault."""
        self._layer.replace(device_mapper.plain(*self._below))

    def power_cut(self) -> None:
        """Lose what has not reached the disk by now, and mount the disk again.

        No process may hold a file of it open. To cut the power at each write of some work, see
        `write_log`.
        """
        self.drop_writes()
        self._unmount()
        self.heal()
        self._mount()


# ---- capabilities ----

TARGETS = ("dm-flakey", "dm-delay", "dm-log-writes")
PACKAGES = {"ext4": "e2fsprogs", "xfs": "xfsprogs", "btrfs": "btrfs-progs"}
# Folders with the lists of modules of a machine's kernel, and of each kind of guest's.
MODULES = ("/lib/modules/{}", "/usr/lib/uml/modules/{}", "/run/modules")


def needs(kind: str) -> list[str]:
    """Return the capabilities that a `FaultyDisk` or `RecordedDisk` of a kind needs.

    It needs a kernel of its own, because a fault may hang the kernel that it happens in.
    """
    return ["own_kernel", f"disk_faults_{kind}"]


def probe(kind: str) -> tuple[bool, str]:
    """Look for the programs and the kernel's modules."""
    if os.geteuid():
        return False, "not root"
    for program in ("dmsetup", "losetup", MAKE[kind][0]):
        if not shutil.which(program):
            return False, f"no {program} on PATH"
    if missing := [name for name in ("dm-mod", "loop", *TARGETS, kind) if not _has_module(name)]:
        return False, f"the kernel lacks {', '.join(missing)}"
    return True, f"{kind} over {', '.join(TARGETS)}"


def _has_module(name: str) -> bool:
    """Return whether the running kernel has a module, loaded, built in, or to be loaded."""
    file = f"/{name}.ko"
    if Path("/sys/module", name.replace("-", "_")).exists():
        return True
    for folder in MODULES:
        for listed in ("modules.dep", "modules.builtin"):
            path = Path(folder.format(os.uname().release), listed)
            if path.exists() and file in path.read_text():
                return True
    return False


def _register(kind: str, package: str) -> None:
    @capability(
        needs(kind)[-1],
        f"{kind} on a disk whose faults and power an experiment controls (device mapper)",
        f"use guests (benchpaper lab up --guests 2), with the packages dmsetup and {package}",
    )
    def _probe() -> tuple[bool, str]:
        return probe(kind)


for _kind, _package in PACKAGES.items():
    _register(_kind, _package)
