"""What the kinds of guests have in common: a program of this machine that runs a guest's kernel."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from benchpaper.hosts.guests import qemu, uml
from benchpaper.hosts.guests.hardware import Hardware


class Machine(Protocol):
    """A kind of guest. `INTERFACE`, `DISK`, and `LINE` are names of its devices in the guest.

    `MEMORY_MIB` is what a guest gets by default, and `BOOT_S` what its boot may take. An answer may
    take `ANSWER_S` beyond what the request takes, because guests share this machine with everything
    else that runs. A guest may be `SLOWER` than a real machine by that factor.
    """

    INTERFACE: str
    DISK: str
    LINE: str
    EXCHANGE: Sequence[str]  # (type, source, options) of the mount of the shared folder
    MEMORY_MIB: int
    BOOT_S: float
    ANSWER_S: float
    SLOWER: int

    def command(self, hardware: Hardware, line: int, program: Sequence[str]) -> list[str]:
        """Return the command line that runs a guest.

        `line` is the descriptor of the agent's serial line. `program` is the command line of the
        guest's first program.
        """

    def freeze(self, folder: Path, pid: int) -> None:
        """Stop a guest. `folder` is its exchange folder, `pid` its sandbox. Raises `OSError`."""

    def thaw(self, folder: Path, pid: int) -> None:
        """Let a guest go on."""


KINDS: dict[str, Machine] = {"uml": uml, "qemu": qemu}
