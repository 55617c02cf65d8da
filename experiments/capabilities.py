"""The capabilities that this project's experiments need, each with its remedy.

Those of a single system stand in its module below systems/ instead. Target hosts import this module
with their own Python, so it uses only the standard library. No experiment imports it: a new probe
makes no result stale. No detail names a host, a user, or a user's path.
"""

import ctypes
import errno
import importlib.util
import os
import shutil
import tempfile
from ctypes.util import find_library
from pathlib import Path

from benchpaper import capability, probe

LIBRARIES = ("lib/*-linux-gnu", "lib64", "lib")
DEVICES, DRIVERS = Path("/sys/class/infiniband"), Path("/etc/libibverbs.d")


@capability(
    "rdma", "an RDMA NIC with its verbs device", "run on a host with an InfiniBand or RoCE adapter"
)
def _rdma() -> tuple[bool, str]:
    adapters = [path for path in DEVICES.glob("*") if not _is_soft(path)]
    if not adapters:
        soft = ", except soft-RoCE" if list(DEVICES.glob("*")) else ""
        return False, f"no device in {DEVICES}{soft}"
    if not list(Path("/dev/infiniband").glob("uverbs*")):
        return False, "no /dev/infiniband/uverbs*"
    return True, f"{len(adapters)} device(s)"


def _is_soft(device: Path) -> bool:
    """Return whether an RDMA device is made of an ordinary interface, its `parent`."""
    return (device / "parent").exists()


@capability(
    "soft_roce",
    "RDMA verbs without an adapter (soft-RoCE), for counts and never for times",
    "use emulated guests, with ibverbs-providers installed here: benchpaper lab kernel; "
    "benchpaper lab up --guests 2 --kind qemu",
)
def _soft_roce() -> tuple[bool, str]:
    """Only emulated guests have it: elsewhere its times would pass for results of an adapter."""
    if missing := lacking_for_soft_roce():
        return False, missing
    if _is_guest() and "/rdma_rxe." in _modules():
        return True, "rdma_rxe"
    return False, "it is no emulated guest, which may make such a device"


def lacking_for_soft_roce() -> str:
    """Return which packages this machine lacks, whose files its guests see; "" if none."""
    missing = [] if shutil.which("rdma") else ["iproute2"]
    missing += [] if list(DRIVERS.glob("rxe*")) else ["ibverbs-providers"]
    return f"no {' and no '.join(missing)}" if missing else ""


def _modules() -> str:
    """Return the list of modules of an emulated guest's kernel; "" elsewhere."""
    path = Path("/run/modules/modules.dep")
    return path.read_text() if path.exists() else ""


@capability(
    "cma",
    "cross-memory attach: reading another process's memory by system call (process_vm_readv)",
    "allow it: run as root, or set kernel.yama.ptrace_scope to 0, "
    "or give the container CAP_SYS_PTRACE",
)
def _cma() -> tuple[bool, str]:
    """Let a child read its parent's memory: ptrace rules restrict this direction."""
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
    if status:
        return False, f"process_vm_readv: {os.strerror(abs(status))}"
    return True, "process_vm_readv works"


@capability("fuse", "mounting FUSE file systems", "load the fuse module and install fuse3")
def _fuse() -> tuple[bool, str]:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return False, "/dev/fuse is not accessible"
    helper = os.geteuid() == 0 or shutil.which("fusermount3")
    return bool(helper), "/dev/fuse" if helper else "no fusermount3 on PATH"


@capability(
    "ganesha",
    "the NFS server NFS-Ganesha",
    "install nfs-ganesha and nfs-ganesha-vfs, and run as root",
)
def _ganesha() -> tuple[bool, str]:
    present = shutil.which("ganesha.nfsd") is not None
    if not present or os.geteuid():
        return False, "not root" if present else "no ganesha.nfsd on PATH"
    return True, "ganesha.nfsd"


@capability(
    "rgw",
    "Ceph's object gateway, and NFS-Ganesha over it",
    "install ceph-mon, ceph-osd, radosgw, and nfs-ganesha-rgw, and run as root",
    role="server",
)
def _rgw() -> tuple[bool, str]:
    programs = ("ceph-mon", "ceph-osd", "radosgw", "ganesha.nfsd")
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        return False, f"no {missing[0]} on PATH"
    modules = [
        *Path("/usr").glob("lib*/ganesha/libfsalrgw.so"),
        *Path("/usr").glob("lib/*/ganesha/libfsalrgw.so"),
    ]
    if not modules:
        return False, "no libfsalrgw.so, Ganesha's module for it"
    return not os.geteuid(), "not root" if os.geteuid() else "radosgw and libfsalrgw.so"


@capability("s3fs", "the FUSE file system s3fs over S3", "install s3fs")
def _s3fs() -> tuple[bool, str]:
    present = shutil.which("s3fs") is not None
    return present, "s3fs" if present else "no s3fs on PATH"


@capability("libnfs", "the NFS client library libnfs, 4 or 5", "install libnfs-utils")
def _libnfs() -> tuple[bool, str]:
    library = find_library("nfs")
    return library in ("libnfs.so.13", "libnfs.so.14"), library or "no libnfs"


GUESTS = "run on guests: benchpaper lab up --guests 2"


def _is_guest() -> bool:
    return probe.CAPABILITIES["own_kernel"].check()[0]


def _kernel_has(file_system: str) -> tuple[bool, str]:
    """Ask the kernel for a type of file system, by mounting it without an option.

    On a machine that is no guest, ask only if the type is loaded: a probe changes no kernel.
    """
    known = file_system in Path("/proc/filesystems").read_text().split()
    if not known and not _is_guest():
        return False, f"the kernel has not loaded {file_system}"
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory() as folder:
        if libc.mount(b"none", folder.encode(), file_system.encode(), 0, None) == 0:
            libc.umount2(folder.encode(), 0)
            return True, f"mounts {file_system}"
    number = ctypes.get_errno()
    return number == errno.EINVAL, f"mounting {file_system}: {os.strerror(number)}"


@capability(
    "nfs_client",
    "mounting NFS by the kernel of the host with the role client",
    f"{GUESTS}; install nfs-common",
    role="client",
)
def _nfs_client() -> tuple[bool, str]:
    if os.geteuid() or not shutil.which("mount.nfs"):
        return False, "not root" if os.geteuid() else "no mount.nfs on PATH"
    return _kernel_has("nfs4")


@capability(
    "second_nfs_client",
    "mounting NFS by the kernel of the host with the role server, too",
    f"{GUESTS}; install nfs-common",
    role="server",
)
def _second_nfs_client() -> tuple[bool, str]:
    return _nfs_client()


@capability(
    "nfsd",
    "the kernel's own NFS server, on a guest with the role server",
    f"{GUESTS}; install nfs-kernel-server",
    role="server",
)
def _nfsd() -> tuple[bool, str]:
    if not _is_guest():
        return False, "its kernel's server is not ours to change: it is no guest"
    missing = [name for name in ("rpcbind", "rpc.nfsd") if not shutil.which(name)]
    return (False, f"no {missing[0]} on PATH") if missing else _kernel_has("nfsd")


@capability("memcached", "the cache server memcached", "install memcached")
def _memcached() -> tuple[bool, str]:
    present = shutil.which("memcached") is not None
    return present, "memcached" if present else "no memcached on PATH"


@capability("torch", "PyTorch for Python", "install it into the environment: pip install torch")
def _torch() -> tuple[bool, str]:
    present = importlib.util.find_spec("torch") is not None
    return present, "installed" if present else "no module torch"
