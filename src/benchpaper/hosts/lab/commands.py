"""The programs behind the lab, and the processes in its network namespaces."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchpaper.core.errors import UserError

PACKAGES = {
    "ip": "iproute2",
    "tc": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}

# With a limit: how much passes at once beyond the rate, and how long a packet waits until it is
# dropped.
BURST, LATENCY = "256kb", "50ms"


def call(argv: Sequence[Path | str], check: bool = True) -> str:
    """Run a command and return its output. With `check`, raise `UserError` when it fails."""
    words = [str(part) for part in argv]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode:
        raise UserError(
            f"{words[0]} {words[1]} {words[2] if len(words) > 2 else ''} failed: "
            f"{done.stderr.strip()}"
        )
    return done.stdout


def limit(rate: str) -> list[str]:
    """Return the words for `tc qdisc add dev LINK` that limit a link to a rate ("1gbit")."""
    return ["root", "tbf", "rate", rate, "burst", BURST, "latency", LATENCY]


def need_root_and_programs() -> None:
    """Raise `UserError`, with the next step, unless this machine can hold a lab."""
    if os.geteuid() != 0:
        raise UserError("the lab makes network namespaces, which needs root; run it as root")
    missing = {package for program, package in PACKAGES.items() if not shutil.which(program)}
    if not Path("/usr/sbin/sshd").exists():
        missing.add("openssh-server")
    if missing:
        names = ", ".join(sorted(missing))
        raise UserError(f"the lab needs the packages {names}; install them")


def processes(namespace: str) -> list[int]:
    """Return the ids of the processes in a network namespace, none if the namespace is gone.

    Raises `UserError` if they cannot be listed: an empty list would say that there are none.
    """
    try:
        return [int(pid) for pid in call(["ip", "netns", "pids", namespace]).split()]
    except UserError:
        if Path("/run/netns", namespace).exists():
            raise
        return []


def end_processes(namespace: str) -> None:
    """Terminate the processes in a namespace, and kill those that stay."""
    for number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        end = time.monotonic() + seconds
        for pid in processes(namespace):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while processes(namespace) and time.monotonic() < end:
            time.sleep(0.02)
