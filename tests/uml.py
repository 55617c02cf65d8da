"""Boots a guest with a kernel of its own (User-Mode Linux), for tests that need one.

The guest sees this machine's files, but cannot change them, except in one folder. It needs no root
here, and is root inside.
"""

import os
import shutil
import signal
import subprocess
import sys

from benchpaper.hosts.guest_kernel import KERNEL, PACKAGES

MEMORY = "900M"


def lacking():
    """Return what this machine lacks to boot a guest; empty if nothing."""
    if not shutil.which(KERNEL):
        return f"no User-Mode Linux (Debian's package {PACKAGES[KERNEL]})"
    missing = [name for name in ("dmsetup", "mkfs.ext4") if not _which(name)]
    return f"no {' and no '.join(missing)}" if missing else ""


def _which(name):
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def run(script, folder, *words, timeout):
    """Run a Python script as the guest's only program; return what it printed.

    `folder` may be changed by the guest; it is the script's first argument.
    """
    command = [
        KERNEL, f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
        f"init={sys.executable}", "con=null", "con0=null,fd:1", "quiet", "--", str(script),
        str(folder), *words,
    ]  # fmt: skip
    guest = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    try:
        return guest.communicate(timeout=timeout)[0].decode(errors="replace")
    finally:
        if guest.poll() is None:
            os.killpg(guest.pid, signal.SIGKILL)
            guest.wait()
