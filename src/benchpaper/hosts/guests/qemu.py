"""QEMU: an emulated machine (TCG), which boots a distribution's kernel.

It shows this machine's files to the guest by 9p: the same view of them, because it runs in the same
sandbox. The agent's serial line is a virtio port.
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from benchpaper.core import emulation
from benchpaper.core.processes import descendants
from benchpaper.hosts.emulated_kernel import EMULATOR
from benchpaper.hosts.guests import view
from benchpaper.hosts.guests.hardware import Hardware

INTERFACE, DISK, LINE = "eth0", "/dev/vda", "/dev/vport*"
EXCHANGE: Sequence[str] = (
    "9p",
    "exchange",
    "trans=virtio,version=9p2000.L,cache=none,msize=524288",
)
MEMORY_MIB, BOOT_S = 512, 300.0  # it boots in 10 s; a busy machine may need many
ANSWER_S = 150.0
SLOWER = emulation.SLOWER
FILES = "local,security_model=none,multidevs=remap"
# The emulated time-stamp counter is this machine's, and so as invariant. QEMU does not say so by
# itself, and then measuring programs refuse the CPU.
CPU = "max,+invtsc,x-force-features=on"
# The kernel tests its timer against delays of the CPU, and panics on a machine that is too busy.
KERNEL_WORDS = (
    *("console=ttyS0", "quiet", "panic=-1", "no_timer_check", "audit=0", "mitigations=off"),
    "rdinit=/init",
)


def command(hardware: Hardware, line: int, program: Sequence[str]) -> list[str]:
    """Return the command line that runs a guest (see `machine.Machine`)."""
    split = list(program).index("--")
    words = [*KERNEL_WORDS, *program[1:split], "--", program[0], *program[split + 1 :]]
    argv = [EMULATOR, "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", "1"]
    argv += ["-m", f"{hardware.memory_mib}M", "-machine", "pc,usb=off,vmport=off", "-no-reboot"]
    argv += ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]
    argv += ["-kernel", view.KERNEL, "-initrd", view.INITIAL_DISK, "-append", " ".join(words)]
    argv += _folder("root", "/", ",readonly=on") + _folder("exchange", view.EXCHANGE, "")
    argv += ["-chardev", f"socket,id=line,fd={line}", "-device", "virtio-serial-pci"]
    argv += ["-device", "virtserialport,chardev=line,name=agent"]
    argv += ["-netdev", _network(hardware)]
    argv += ["-device", f"virtio-net-pci,netdev=net,mac={hardware.mac},romfile="]
    return argv + (
        ["-drive", f"file={hardware.disk},format=raw,if=virtio"] if hardware.disk else []
    )


def _network(hardware: Hardware) -> str:
    if hardware.tap:
        return f"tap,id=net,ifname={hardware.tap},script=no,downscript=no"
    return f"dgram,id=net,local.type=fd,local.str={hardware.port}"


def _folder(name: str, path: str, more: str) -> list[str]:
    device = f"virtio-9p-pci,fsdev={name},mount_tag={name}"
    return ["-fsdev", f"{FILES},id={name},path={path}{more}", "-device", device]


def freeze(folder: Path, pid: int) -> None:
    """Stop the emulator; its clock goes on."""
    for process in descendants(pid):
        os.kill(process, signal.SIGSTOP)


def thaw(folder: Path, pid: int) -> None:
    """Let the emulator go on."""
    for process in descendants(pid):
        os.kill(process, signal.SIGCONT)
