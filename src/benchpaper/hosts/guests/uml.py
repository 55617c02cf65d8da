"""User-Mode Linux: a guest's kernel as a program of this machine."""

from collections.abc import Sequence
from pathlib import Path

from benchpaper.hosts import guest_kernel
from benchpaper.hosts.guests import mconsole, view
from benchpaper.hosts.guests.hardware import Hardware

INTERFACE, LOOPBACK, DISK, LINE = "vec0", "vec1", "/dev/ubda", "/dev/ttyS0"
EXCHANGE: Sequence[str] = ("hostfs", "none", view.EXCHANGE)
MEMORY_MIB, BOOT_S = 256, 120.0  # it boots in 3 s; a busy machine may need many
ANSWER_S = 60.0
SLOWER = 1
UMID = "guest"


def command(hardware: Hardware, line: int, program: Sequence[str]) -> list[str]:
    """Return the command line that runs a guest (see `machine.Machine`)."""
    tap, (python, *words) = hardware.tap, program
    leads = f"tap,ifname={tap},gro=1" if tap else f"fd,fd={hardware.port}"
    return [
        guest_kernel.KERNEL,
        f"mem={hardware.memory_mib}M",
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"),
        *("con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{line}"),
        *(f"uml_dir={view.EXCHANGE}/uml", f"umid={UMID}"),
        f"vec0:transport={leads},depth=128,mac={hardware.mac}",
        *_loopback(hardware),
        *([f"ubd0={hardware.disk}"] if hardware.disk else []),
        f"init={python}",
        *words,
    ]


def _loopback(hardware: Hardware) -> list[str]:
    """Return the word for the interface that leads to the loopback of this machine, if any."""
    if hardware.loopback is None:
        return []
    mac = hardware.mac_of(1)
    return [f"{LOOPBACK}:transport=fd,fd={hardware.loopback},depth=128,mac={mac}"]


def freeze(folder: Path, pid: int) -> None:
    """Stop a guest's kernel."""
    mconsole.command(folder, UMID, "stop")


def thaw(folder: Path, pid: int) -> None:
    """Let a guest's kernel go on."""
    mconsole.command(folder, UMID, "go")
