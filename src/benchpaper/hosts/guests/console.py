"""The console of a guest: what its kernel and its first process print.

The keeper reads it from a pipe and keeps its end in a file, so that a guest that prints without end
fills no disk. The controller reads the file when something fails.
"""

import os
import re
from io import FileIO
from pathlib import Path

from benchpaper.core.printable import printable_line
from benchpaper.hosts.guests import init

FILE = "console"  # in the keeper's folder
KEPT_BYTES, TAIL_LINES, AT_ONCE = 1 << 16, 6, 1 << 16
# What a kernel says while it boots well; it is no reason for anything.
USUAL = re.compile(
    r"SELinux:|mmapper_init|Failed to initialize ubd device 0|netif_napi_add_weight"
    r"|TCG doesn't support requested feature|MP-BIOS bug"
)


class Console:
    """The end of what guests print to the pipe `writes`, in a file of `folder`.

    `reads` is the other end of the pipe, which does not block.
    """

    def __init__(self, folder: Path):
        self._path = folder / FILE
        self._file = FileIO(self._path, "w")
        self._written = 0
        self.reads, self.writes = os.pipe()
        os.set_blocking(self.reads, False)

    def take(self) -> bool:
        """Keep what has arrived. Return False if nothing has."""
        try:
            data = os.read(self.reads, AT_ONCE)
        except BlockingIOError:
            return False
        self.keep(data)
        return bool(data)

    def keep(self, data: bytes) -> None:
        self._file.write(data)
        self._written += len(data)
        if self._written > 2 * KEPT_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        """Begin a new file with the end of the old one; a reader sees either."""
        part = self._path.with_suffix(".part")
        part.write_bytes(self._path.read_bytes()[-KEPT_BYTES:])
        self._file.close()
        part.replace(self._path)
        self._file = FileIO(self._path, "a")
        self._written = KEPT_BYTES

    def close(self) -> None:
        self._file.close()
        os.close(self.reads)
        os.close(self.writes)

    def say(self, why: str) -> None:
        """Keep the reason for an end that the guest itself cannot give."""
        self.keep(f"\n{init.SAID}{why}\n".encode())


def tail(folder: Path) -> str:
    """Return the end of what a guest's console said, as one line; empty if it said nothing."""
    try:
        text = (folder / FILE).read_bytes().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not USUAL.search(line)]
    said = [line.removeprefix(init.SAID) for line in telling if line.startswith(init.SAID)]
    if said:
        return printable_line(said[-1])
    panic = next((n for n, line in enumerate(telling) if "Kernel panic" in line), None)
    chosen = telling[-TAIL_LINES:] if panic is None else telling[panic : panic + 2]
    return printable_line(" | ".join(chosen))
