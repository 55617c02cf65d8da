"""What a host is and what it can do, found by looking and by trying.

Facts describe (CPU, kernel, memory, disk, network, governor); capabilities are things that an experiment may need,
each with the remedy when it is missing. Nothing here names a host, a user or a path.
"""

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import socket
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from benchpaper.core import environment
from benchpaper.core.capabilities import CAPABILITIES, capability

SHARED_HOST = "shared_host"


def probe():
    """Return {"facts": {...}, "capabilities": {name: {"present": bool, "detail": str}}} of this host."""
    found = {}
    for name, item in sorted(CAPABILITIES.items()):
        present, detail = item.check()
        found[name] = {"present": bool(present), "detail": detail}
    return {"facts": facts(), "capabilities": found}


def facts():
    """Return what stands in every trial record about the host. Stable from one call to the next."""
    return {
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "kernel": platform.release(),
        "os": _os_name(),
        "nic": _nics(),
        "disk": _disk(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not exposed",
        "virtualised": "yes" if " hypervisor" in (_read("/proc/cpuinfo") or "") else "no",
        "environment": environment.describe(),
    }


def _read(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _cpu_model():
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _os_name():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _memory_bytes():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _nics():
    """Speeds of the network interfaces that are up, without their names or addresses: of the hardware, for bridges and
    veth pairs come and go while a block is measured; where none is seen (a container, a lab's host) of all."""
    found, hardware = [], any(Path("/sys/class/net").glob("*/device"))
    for _, name in sorted(socket.if_nameindex(), key=lambda item: item[1]):
        folder = Path("/sys/class/net", name)
        counts = (folder / "device").exists() if hardware else name != "lo"
        if counts and _read(folder / "operstate") in ("up", "unknown"):
            speed = int(_read(folder / "speed") or -1)
            found.append(f"{speed} Mb/s" if speed > 0 else "speed unknown")
    return ", ".join(found) or "none"


def addresses():
    """Return {interface: IPv4 address} of this host."""
    found, get_address = {}, 0x8915  # SIOCGIFADDR, netdevice(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking, get_address, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # it has none
            found[name] = socket.inet_ntoa(answer[20:24])
    return found


def _disk():
    """File system type of the temporary folder, where scratch files lie."""
    target = Path(tempfile.gettempdir()).resolve()
    mounts = [line.split()[1:3] for line in (_read("/proc/mounts") or "").splitlines()]
    around = [(len(point), kind) for point, kind in mounts if target.is_relative_to(point)]
    return max(around)[1] if around else "unknown"


@capability(
    "cc",
    "a C compiler with the C library's headers",
    "install the packages gcc and libc6-dev",
    on_controller=True,
)
def _cc():
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
def compiler_version():
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
    "install the latex packages in packages.apt",
    on_controller=True,
)
def _latex():
    for program in ("latexmk", "pdflatex", "bibtex"):
        if not shutil.which(program):
            return False, f"no {program} on PATH"
    wanted = ["booktabs.sty", "microtype.sty", "pgf.sty", "cleveref.sty", "lmodern.sty"]
    found = subprocess.run(["kpsewhich", *wanted], capture_output=True, text=True).stdout
    missing = [name for name in wanted if name not in found]
    return not missing, f"lacks {', '.join(missing)}" if missing else "latexmk"


@capability(
    SHARED_HOST,
    "all roles on one host, which then share its memory",
    "give one host of the site all roles",
    on_controller=True,
)
def _shared_host():
    """Of one host this is true; of a site's hosts, who knows their roles says it."""
    return True, "one host has all roles"


@capability(
    "rdma", "an RDMA NIC with its verbs device", "run on a host with an InfiniBand or RoCE adapter"
)
def _rdma():
    folder = Path("/sys/class/infiniband")
    devices = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if not devices:
        return False, "no device in /sys/class/infiniband"
    if not list(Path("/dev/infiniband").glob("uverbs*")):
        return False, "no /dev/infiniband/uverbs*"
    return True, f"{len(devices)} device(s)"


@capability(
    "cma",
    "cross-memory attach: reading another process's memory by system call (process_vm_readv)",
    "allow it: run as root, or set kernel.yama.ptrace_scope to 0, or give the container CAP_SYS_PTRACE",
)
def _cma():
    """A child reads its parent's memory: the direction that ptrace rules restrict."""
    libc = ctypes.CDLL(None, use_errno=True)
    pr_set_ptracer, any_process = 0x59616D61, ctypes.c_ulong(-1)
    libc.prctl(pr_set_ptracer, any_process, 0, 0, 0)  # as UCX does for itself
    source = ctypes.create_string_buffer(b"cma")
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        target = ctypes.create_string_buffer(4)
        pair = [(ctypes.c_void_p * 2)(ctypes.addressof(b), 4) for b in (target, source)]
        read = libc.process_vm_readv(parent, pair[0], 1, pair[1], 1, 0)
        os._exit(0 if read == 4 and target.value == b"cma" else min(ctypes.get_errno() or 1, 255))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    libc.prctl(pr_set_ptracer, 0, 0, 0, 0)
    return (
        status == 0,
        "process_vm_readv works"
        if status == 0
        else f"process_vm_readv: {os.strerror(abs(status))}",
    )


@capability(
    "shm",
    "shared memory of at least 64 MiB in /dev/shm",
    "mount a larger /dev/shm (docker: --shm-size 1g)",
)
def _shm():
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError as error:
        return False, f"/dev/shm: {error.strerror}"
    enough = free >= 64 << 20 and os.access("/dev/shm", os.W_OK)
    return enough, "64 MiB free" if enough else f"{free >> 20} MiB free"


@capability(
    "loopback", "TCP over the loopback interface", "bring the interface up: ip link set lo up"
)
def _loopback():
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
def _root():
    return os.geteuid() == 0, f"uid {'0' if os.geteuid() == 0 else 'not 0'}"


@capability("netns", "making network namespaces", "run as root, with the package iproute2")
def _netns():
    if not shutil.which("ip"):
        return False, "no ip on PATH"
    return os.geteuid() == 0, "root with ip" if os.geteuid() == 0 else "not root"


@capability("fuse", "mounting FUSE file systems", "load the fuse module and install fuse3")
def _fuse():
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return False, "/dev/fuse is not accessible"
    helper = os.geteuid() == 0 or shutil.which("fusermount3")
    return bool(helper), "/dev/fuse" if helper else "no fusermount3 on PATH"


@capability("jdk", "a Java compiler", "install default-jdk-headless", on_controller=True)
def _jdk():
    found = shutil.which("javac")
    return bool(found), "javac" if found else "no javac on PATH"


@capability(
    "ganesha",
    "the NFS server NFS-Ganesha",
    "install nfs-ganesha and nfs-ganesha-vfs, and run as root",
)
def _ganesha():
    found = shutil.which("ganesha.nfsd")
    if not found or os.geteuid():
        return False, "not root" if found else "no ganesha.nfsd on PATH"
    return True, "ganesha.nfsd"


@capability("libnfs", "the NFS client library libnfs, 4 or 5", "install libnfs-utils")
def _libnfs():
    from ctypes.util import find_library

    found = find_library("nfs")
    return found in ("libnfs.so.13", "libnfs.so.14"), found or "no libnfs"


@capability("memcached", "the cache server memcached", "install memcached")
def _memcached():
    found = shutil.which("memcached")
    return bool(found), "memcached" if found else "no memcached on PATH"


@capability(
    "memory_cgroup",
    "limiting memory by a cgroup of one's own",
    "run as root with the memory controller mounted",
)
def _memory_cgroup():
    """Version 1 has a tree of its own for it; version 2 lists it among the controllers of the root."""
    if Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists():
        version, root = "version 1", Path("/sys/fs/cgroup/memory")
    elif "memory" in (_read("/sys/fs/cgroup/cgroup.subtree_control") or "").split():
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
def _loop_devices():
    if os.geteuid() or not Path("/dev/loop-control").exists() or not shutil.which("losetup"):
        return False, "not root" if os.geteuid() else "no /dev/loop-control or no losetup"
    tried = subprocess.run(["losetup", "-f"], capture_output=True, text=True)
    return tried.returncode == 0, "losetup" if tried.returncode == 0 else tried.stderr.strip()


@capability("torch", "PyTorch for Python", "install it into the environment: pip install torch")
def _torch():
    present = importlib.util.find_spec("torch") is not None
    return present, "installed" if present else "no module torch"


@capability("gpu", "an NVIDIA GPU", "run on a host with a GPU and its driver")
def _gpu():
    present = Path("/dev/nvidia0").exists()
    return present, "/dev/nvidia0" if present else "no /dev/nvidia0"


def identity():
    """Return 16 hex digits that stand for this machine without naming it: they tell two hosts apart in a journal,
    and never leave it."""
    machine = _read("/etc/machine-id") or _read("/var/lib/dbus/machine-id") or ""
    # Of the memory a kernel keeps a share to itself, which differs from one version to the next.
    boot_independent = f"{machine}\n{_cpu_model()}\n{round(_memory_bytes() / 2**30)}"
    return hashlib.sha256(boot_independent.encode()).hexdigest()[:16]
