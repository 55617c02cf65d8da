"""The capabilities of a host: things that an experiment may need, each with its remedy.

A probe tries what it can and otherwise looks. No detail names a host, a user, or a user's path.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchpaper.core.capabilities import CAPABILITIES, capability
from benchpaper.hosts import emulated_kernel, guest_kernel
from benchpaper.hosts.facts import addresses, facts, identity, read_text, virtualised

__all__ = [
    "CAPABILITIES",
    "addresses",
    "capability",
    "compiler_version",
    "facts",
    "identity",
    "probe",
]

SHARED_HOST = "shared_host"
FRESH_KERNEL = "fresh_kernel"
SHM_BYTES = 64 << 20


def probe() -> dict[str, Any]:
    """Return {"facts": {...}, "capabilities": {name: {"present": bool, "detail": str}}}."""
    capabilities = {}
    for name, item in sorted(CAPABILITIES.items()):
        present, detail = item.check()
        capabilities[name] = {"present": bool(present), "detail": detail}
    return {"facts": facts(), "capabilities": capabilities}


@capability(
    "cc",
    "a C compiler with the C library's headers",
    "install the packages gcc and libc6-dev",
    on_controller=True,
)
def _cc() -> tuple[bool, str]:
    compiler = shutil.which("cc")
    if not compiler:
        return False, "no cc on PATH"
    try:
        tried = subprocess.run(
            [compiler, "-x", "c", "-fsyntax-only", "-"],
            input="#include <stdio.h>\n",
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"cc does not run: {error}"
    if tried.returncode:
        return False, "cc finds no C library headers"
    return True, f"cc {compiler_version()}"


@cache
def compiler_version() -> str:
    """Return the C compiler's version, or "none"."""
    try:
        return subprocess.run(
            ["cc", "-dumpfullversion"], capture_output=True, text=True
        ).stdout.strip()
    except OSError:
        return "none"


@capability(
    "latex",
    "LaTeX with the packages that the paper uses",
    "install latexmk, lmodern, texlive-latex-extra, texlive-fonts-recommended, texlive-pictures",
    on_controller=True,
)
def _latex() -> tuple[bool, str]:
    for program in ("latexmk", "pdflatex", "bibtex"):
        if not shutil.which(program):
            return False, f"no {program} on PATH"
    wanted = ["booktabs.sty", "microtype.sty", "pgf.sty", "cleveref.sty", "lmodern.sty"]
    paths = subprocess.run(["kpsewhich", *wanted], capture_output=True, text=True).stdout
    missing = [name for name in wanted if name not in paths]
    return not missing, f"lacks {', '.join(missing)}" if missing else "latexmk"


@capability(
    SHARED_HOST,
    "all roles on one host, which then share its memory",
    "give one host of the site all roles",
    on_controller=True,
)
def _shared_host() -> tuple[bool, str]:
    """True of a single host; `site.capabilities` decides for several, as it knows their roles."""
    return True, "one host has all roles"


@capability(
    "shm",
    "shared memory of at least 64 MiB in /dev/shm",
    "mount a larger /dev/shm (docker: --shm-size 1g)",
)
def _shm() -> tuple[bool, str]:
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError as error:
        return False, f"/dev/shm: {error.strerror}"
    enough = free >= SHM_BYTES and os.access("/dev/shm", os.W_OK)
    return enough, "64 MiB free" if enough else f"{free >> 20} MiB free"


@capability(
    "loopback", "TCP over the loopback interface", "bring the interface up: ip link set lo up"
)
def _loopback() -> tuple[bool, str]:
    if not Path("/sys/class/net/lo").exists():
        return False, "no /sys/class/net/lo: libraries look for devices there (is /sys mounted?)"
    try:
        with socket.socket() as listener, socket.socket() as caller:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            caller.settimeout(2)
            caller.connect(listener.getsockname())
        return True, "connects"
    except OSError as error:
        return False, f"no connection over loopback: {error.strerror or error}"


@capability("root", "root's rights", "run as root")
def _root() -> tuple[bool, str]:
    return os.geteuid() == 0, f"uid {'0' if os.geteuid() == 0 else 'not 0'}"


@capability("netns", "making network namespaces", "run as root, with the package iproute2")
def _netns() -> tuple[bool, str]:
    if not shutil.which("ip"):
        return False, "no ip on PATH"
    return os.geteuid() == 0, "root with ip" if os.geteuid() == 0 else "not root"


@capability(
    "guests",
    "guests with kernels of their own (User-Mode Linux)",
    "install user-mode-linux, bubblewrap and iproute2; then: benchpaper lab up --guests 2",
    on_controller=True,
)
def _guests() -> tuple[bool, str]:
    if _own_kernel()[0]:
        return False, "this is a guest"
    if why := guest_kernel.lacking():
        return False, why
    version = guest_kernel.version()
    features = guest_kernel.features(guest_kernel.MODULES / version, guest_kernel.WANTED)
    here = f"this machine's loopback (install {guest_kernel.FORWARDER})"
    features |= {
        here: not os.geteuid() or bool(shutil.which(guest_kernel.FORWARDER)),
        "a C compiler (commands start more slowly)": bool(shutil.which("cc")),
    }
    return True, _kernel(version, features)


def _kernel(version: str, features: Mapping[str, bool]) -> str:
    missing = [feature for feature, present in features.items() if not present]
    return f"Linux {version}" + (f", without {', '.join(missing)}" if missing else "")


@capability(
    "emulated_guests",
    "guests in an emulated machine (QEMU), with the distribution's kernel",
    "install qemu-system-x86, bubblewrap, iproute2, gcc; then: benchpaper lab kernel; "
    "benchpaper lab up --guests 2 --kind qemu",
    on_controller=True,
)
def _emulated_guests() -> tuple[bool, str]:
    if _own_kernel()[0]:
        return False, "this is a guest"
    if why := emulated_kernel.lacking():
        return False, why
    kernel = emulated_kernel.kernel()
    assert kernel
    return True, _kernel(kernel.version, emulated_kernel.features(kernel))


@capability(
    "own_kernel",
    "a kernel of the host's own, whose links and power an experiment may cut",
    "use guests: benchpaper lab up --guests 2",
)
def _own_kernel() -> tuple[bool, str]:
    if not guest_kernel.is_guest():
        return False, "it is no guest of benchpaper's"
    return True, f"{virtualised()}, Linux {os.uname().release}"


@capability(
    FRESH_KERNEL,
    "a kernel that has served no trial before",
    "use guests: benchpaper lab up --guests 2",
)
def _fresh_kernel() -> tuple[bool, str]:
    """A guest can have one: `Fleet.renew` boots it before each trial that needs this."""
    return _own_kernel()


@capability(
    "memory_cgroup",
    "limiting memory by a cgroup of one's own",
    "run as root with the memory controller mounted",
)
def _memory_cgroup() -> tuple[bool, str]:
    """Version 1 has its own tree for memory; version 2 lists the root's controllers."""
    if Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists():
        version, root = "version 1", Path("/sys/fs/cgroup/memory")
    elif "memory" in (read_text("/sys/fs/cgroup/cgroup.subtree_control") or "").split():
        version, root = "version 2", Path("/sys/fs/cgroup")
    else:
        return False, "no memory controller in /sys/fs/cgroup"
    writable = os.geteuid() == 0 and os.access(root, os.W_OK)
    return writable, version if writable else f"{root} is not writable"


@capability(
    "loop_devices",
    "file systems in a file (loop devices)",
    "run as root on a kernel with loop devices",
)
def _loop_devices() -> tuple[bool, str]:
    if os.geteuid() or not Path("/dev/loop-control").exists() or not shutil.which("losetup"):
        return False, "not root" if os.geteuid() else "no /dev/loop-control or no losetup"
    tried = subprocess.run(["losetup", "-f"], capture_output=True, text=True)
    return tried.returncode == 0, "losetup" if tried.returncode == 0 else tried.stderr.strip()


@capability("gpu", "an NVIDIA GPU", "run on a host with a GPU and its driver")
def _gpu() -> tuple[bool, str]:
    present = Path("/dev/nvidia0").exists()
    return present, "/dev/nvidia0" if present else "no /dev/nvidia0"
