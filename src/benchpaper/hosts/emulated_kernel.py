"""Whether this machine can boot emulated guests: programs, and a distribution's kernel.

QEMU computes what their CPU would do (TCG), so it needs no virtualisation. The kernel is that of
this machine's distribution; `lab.kernel_package` unpacks it, and nothing installs it.
Standard library only, because probing is part of the agent, which is sent to target hosts.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchpaper.hosts import guest_kernel

EMULATOR = "qemu-system-x86_64"
PACKAGES = {
    EMULATOR: "qemu-system-x86",
    guest_kernel.SANDBOX: "bubblewrap",
    "ip": "iproute2",
    "cc": "gcc and libc6-dev",
}
GET = "benchpaper lab kernel"  # the command that unpacks a kernel
IMAGE, MODULES = "image", "modules"  # in the folder of a kernel
# What a guest loads before it has a root, in this order.
BOOT = (
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "virtio_console",
    "virtio_net",
    "virtio_blk",
    "overlay",
    "af_packet",
)
WANTED = {
    **guest_kernel.WANTED,
    "soft-RoCE": "rdma_rxe",
    "NFS over RDMA": "rpcrdma",
    "NVMe over RDMA": "nvme-rdma",
}


@dataclass(frozen=True)
class Kernel:
    """A kernel that guests can boot: its image, and the folder of its modules and their lists."""

    version: str
    image: Path
    modules: Path


def folder() -> Path:
    """Return the folder of unpacked kernels: with the other caches, below .benchpaper."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache, "guest-kernels")


def kernel() -> Kernel | None:
    """Return the newest kernel that is unpacked here."""
    images = sorted(folder().glob(f"*/{IMAGE}"), key=lambda path: _numbers(path.parent.name))
    if not images:
        return None
    place = images[-1].parent
    return Kernel(place.name, place / IMAGE, (place / MODULES).resolve())


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def lacking() -> str | None:
    """Return what this machine lacks to boot emulated guests, with the remedy; None if nothing."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if missing:
        return f"install the packages {', '.join(missing)}"
    if kernel() is None:
        return f'no kernel for them is unpacked; run "{GET}"'
    return guest_kernel.sandbox_fails()


def lacking_for(kind: str) -> str | None:
    """Return what this machine lacks to boot a kind of guests ("uml", "qemu"), as `lacking`."""
    return lacking() if kind == "qemu" else guest_kernel.lacking()


def features(chosen: Kernel) -> dict[str, bool]:
    """Return for each wanted feature whether a kernel has it, built in or as a module."""
    return guest_kernel.features(chosen.modules, WANTED)


def built_in(chosen: Kernel) -> set[str]:
    """Return the modules that are part of a kernel's image."""
    return guest_kernel.names(chosen.modules / "modules.builtin")
