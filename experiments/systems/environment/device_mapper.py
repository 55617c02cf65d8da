"""Layers of the kernel's device mapper over a block device: faults, delays, a log of its writes.

The `run` that layers take is `Host.run`, or `here` in a program that runs on the host itself. All
of it needs root, and modules of the kernel. A guest has both (docs/how-to/guests.md).
"""

import secrets
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

FOREVER_S = 1 << 30
# No udev manages these devices, so dmsetup makes their nodes itself.
DMSETUP = ("env", "DM_DISABLE_UDEV=1", "dmsetup")
REPLACE = (
    'export DM_DISABLE_UDEV=1; dmsetup load "$0" --table "$1" '
    '&& dmsetup suspend --noflush --nolockfs "$0" && dmsetup resume "$0"'
)
LOOP = "test -e /dev/loop-control || mknod /dev/loop-control c 10 237; losetup --find --show $0"
FREE_LOOP = 'losetup --detach $(losetup --noheadings --output NAME --associated "$0")'

Run = Callable[[Sequence[Any]], Any]  # its result has the `stdout` of a command


def here(argv: Sequence[Any]) -> Any:
    """Run a command on this machine. Raises `OSError` with its own words if it fails."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        said = " ".join((done.stderr + done.stdout).split())
        raise OSError(f"{' '.join(words)} ended with status {done.returncode}: {said}")
    return done


# ---- tables: what a layer does over so many `sectors` of 512 B ----


def sectors_of(size_mb: int) -> int:
    """Return the sectors of a size in MiB."""
    return size_mb << 11


def plain(device: Path, sectors: int) -> str:
    """Pass everything on."""
    return f"0 {sectors} linear {device} 0"


def flakey(device: Path, sectors: int, *features: str) -> str:
    """Drop writes but acknowledge them (`drop_writes`), or fail them (`error_writes`).

    Without features, fail reads and writes.
    """
    words = " ".join((str(len(features)), *features))
    return f"0 {sectors} flakey {device} 0 0 {FOREVER_S} {words}"


def delay(device: Path, sectors: int, read_ms: int, write_ms: int) -> str:
    """Complete each read and each write, flushes included, so many ms later."""
    return f"0 {sectors} delay {device} 0 {read_ms} {device} 0 {write_ms}"


def log_writes(device: Path, sectors: int, log: Path) -> str:
    """Copy each write to the device `log`; `write_log` reads it."""
    return f"0 {sectors} log-writes {device} {log}"


# ---- devices ----


class Layer:
    """A device-mapper device at `path`, as a context manager. Its table can change while in use."""

    def __init__(self, run: Run, table: str):
        self._run, self._table = run, table
        self.name = f"benchpaper-{secrets.token_hex(4)}"
        self.path = Path("/dev/mapper", self.name)

    @property
    def undo(self) -> list[str]:
        """The command that removes it, for `Host.undo`."""
        return [*DMSETUP, "remove", self.name]

    def __enter__(self) -> Self:
        self._run([*DMSETUP, "create", self.name, "--table", self._table])
        return self

    def __exit__(self, *_: object) -> None:
        self._run([*DMSETUP, "remove", self.name])

    def replace(self, table: str) -> None:
        """Change the table at once; what the file system has not written yet stays unwritten."""
        self._run(["sh", "-c", REPLACE, self.name, table])

    def message(self, *words: str) -> None:
        """Send a message to its target, such as ("mark", "saved") to a log of writes."""
        self._run([*DMSETUP, "message", self.name, "0", *words])


class LoopDevice:
    """The file `image` as the block device `path`, as a context manager."""

    path: Path

    def __init__(self, run: Run, image: Path):
        self._run, self._image = run, image

    @property
    def undo(self) -> list[str]:
        """The command that frees whatever device has the file, for `Host.undo`."""
        return ["sh", "-c", FREE_LOOP, str(self._image)]

    def __enter__(self) -> Self:
        self.path = Path(self._run(["sh", "-c", LOOP, self._image]).stdout.strip())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(["losetup", "--detach", self.path])
