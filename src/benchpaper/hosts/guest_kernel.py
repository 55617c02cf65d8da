"""Whether this machine can boot guests: programs, the kernel, its modules.

Standard library only, because probing is part of the agent, which is sent to target hosts.
"""

import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

KERNEL, SANDBOX = "linux.uml", "bwrap"
PACKAGES = {KERNEL: "user-mode-linux", SANDBOX: "bubblewrap", "ip": "iproute2"}
FORWARDER = "passt"  # joins guests of an ordinary user with this machine's loopback; the package
MODULES = Path("/usr/lib/uml/modules")
# What experiments want of a guest's kernel, each with the module that has it.
WANTED = {
    "NFS client": "nfsv4",
    "NFS server": "nfsd",
    "netem": "sch_netem",
    "dm-flakey": "dm-flakey",
    "dm-log-writes": "dm-log-writes",
    "dm-delay": "dm-delay",
    "ext4": "ext4",
    "xfs": "xfs",
    "btrfs": "btrfs",
}
BARE_S = 10
FIRST_PROGRAM = "benchpaper.hosts.guests.init"  # a guest's; its kernel's command line names it


def is_guest() -> bool:
    """True if this machine is a guest that benchpaper has booted; others' machines do not count."""
    return FIRST_PROGRAM in Path("/proc/cmdline").read_text().split()


def lacking() -> str | None:
    """Return what this machine lacks to boot guests, with the remedy; None if it lacks nothing."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if missing:
        return f"install the packages {', '.join(missing)}"
    if not (MODULES / version()).is_dir():
        return f"no modules in {MODULES}/{version()}; install the package user-mode-linux again"
    return sandbox_fails()


@cache
def version() -> str:
    """Return the version of the guests' kernel, such as "6.1.176"."""
    done = subprocess.run(
        [KERNEL, "--version"], capture_output=True, text=True, timeout=BARE_S, check=True
    )
    return done.stdout.strip()


@cache
def sandbox_fails() -> str | None:
    """Try the sandbox that guests run in. Some systems forbid it to ordinary users."""
    words = [SANDBOX, "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    tried = subprocess.run(words, capture_output=True, text=True, timeout=BARE_S)
    if tried.returncode == 0:
        return None
    said = " ".join(tried.stderr.split())
    return f"the sandbox of guests does not start ({said}); run as root, or allow user namespaces"


def features(folder: Path, wanted: Mapping[str, str]) -> dict[str, bool]:
    """Return for each feature whether a kernel has its module, built in or loadable.

    `folder` has the kernel's lists of modules; `wanted` is {feature: module}.
    """
    known = names(folder / "modules.dep") | names(folder / "modules.builtin")
    return {feature: module.replace("-", "_") in known for feature, module in wanted.items()}


def names(path: Path) -> set[str]:
    """Return the names of the modules in one of a kernel's lists."""
    lines = path.read_text().splitlines()
    files = [Path(line.partition(":")[0]).name for line in lines]
    return {file.partition(".")[0].replace("-", "_") for file in files}
