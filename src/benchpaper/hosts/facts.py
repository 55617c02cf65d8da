"""Facts about a host, found by looking: CPU, GPU, kernel, memory, disk, network, governor.

No fact names a host, a user or a path.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import socket
import struct
import subprocess
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from benchpaper.core import environment
from benchpaper.core.emulation import EMULATED

SIOCGIFADDR = 0x8915  # netdevice(7)
NAMES = (
    "cpu",
    "cpus",
    "memory_gib",
    "kernel",
    "os",
    "nic",
    "disk",
    "governor",
    "virtualised",
    "environment",
)
WHERE_PRESENT = ("gpu",)  # facts of some hosts only
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


def facts() -> dict[str, Any]:
    """Return the facts that every trial record holds. They are stable between calls."""
    return {
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "kernel": platform.release(),
        "os": _os_name(),
        "nic": _nic_speeds(),
        "disk": _scratch_file_system(),
        "governor": read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        or "not exposed",
        "virtualised": virtualised(),
        "environment": environment.describe(),
        **({"gpu": gpus} if (gpus := _gpus()) else {}),
    }


def read_text(path: Path | str) -> str | None:
    """Return the stripped text of a file, or None if it cannot be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _cpu_model() -> str:
    for line in (read_text("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


@cache
def _gpus() -> str:
    """Return the model, memory and driver of each NVIDIA GPU, as `nvidia-smi` names them, or ""."""
    if not shutil.which(NVIDIA_SMI[0]):
        return ""
    try:
        answer = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if answer.returncode:
        return ""  # its driver is not loaded
    texts = Counter(
        "{}, {}, driver {}".format(*(part.strip() for part in line.split(",")))
        for line in answer.stdout.splitlines()
        if line.count(",") == 2
    )
    return "; ".join(f"{count} x {text}" if count > 1 else text for text, count in texts.items())


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def virtualised() -> str:
    """Return "yes", "no", or what computes this machine: the user's own one or a guest's."""
    cpus = read_text("/proc/cpuinfo") or ""
    if "User Mode Linux" in cpus:
        return "User-Mode Linux"
    if "QEMU TCG" in cpus:
        return f"{EMULATED} (QEMU)"
    return "yes" if " hypervisor" in cpus else "no"


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _nic_speeds() -> str:
    """Return the speeds of the network interfaces that are up, without names or addresses.

    Only hardware counts, because bridges and veth pairs come and go while a block is measured.
    Where no hardware shows (in a container, on a lab's host), all interfaces but lo count.
    """
    speeds, hardware = [], any(Path("/sys/class/net").glob("*/device"))
    for _, name in sorted(socket.if_nameindex(), key=lambda item: item[1]):
        folder = Path("/sys/class/net", name)
        counts = (folder / "device").exists() if hardware else name != "lo"
        if counts and read_text(folder / "operstate") in ("up", "unknown"):
            speed = int(read_text(folder / "speed") or -1)
            speeds.append(f"{speed} Mb/s" if speed > 0 else "speed unknown")
    return ", ".join(speeds) or "none"


def _scratch_file_system() -> str:
    """Return the file system type of the temporary folder, where scratch files lie."""
    target = Path(tempfile.gettempdir()).resolve()
    mounts = [line.split()[1:3] for line in (read_text("/proc/mounts") or "").splitlines()]
    around = [(len(point), kind) for point, kind in mounts if target.is_relative_to(point)]
    return max(around)[1] if around else "unknown"


def addresses() -> dict[str, str]:
    """Return {interface: IPv4 address} of this host."""
    by_interface = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(query, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # it has no address
            by_interface[name] = socket.inet_ntoa(answer[20:24])
    return by_interface


def identity() -> str:
    """Return 16 hex digits that stand for this machine without naming it.

    They tell two hosts apart in a journal, and never leave it.
    """
    machine = read_text("/etc/machine-id") or read_text("/var/lib/dbus/machine-id") or ""
    # The kernel keeps a share of the memory to itself, which differs between versions: round.
    boot_independent = f"{machine}\n{_cpu_model()}\n{round(_memory_bytes() / 2**30)}"
    return hashlib.sha256(boot_independent.encode()).hexdigest()[:16]
