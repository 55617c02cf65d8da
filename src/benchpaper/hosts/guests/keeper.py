"""The process that holds a guest: starts its kernel, carries its connections, keeps its console.

The controller starts it in place of `ssh`: its standard input and output are those of the agent in
the guest, and it listens on a socket in its folder for connections to the agent. The guest dies
with it, because the kernel kills the sandbox that the guest runs in.
"""

import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchpaper.core.printable import printable_line
from benchpaper.hosts import guest_kernel
from benchpaper.hosts.guests import channel, view

CONSOLE, EXCHANGE, AGENT = "console", "exchange", "agent"  # in the keeper's folder
KEPT_BYTES, TAIL_LINES = 1 << 16, 6
UMID = "guest"
LOCAL_MAC = b"\x02\x00"  # begins an Ethernet address that no manufacturer gave; IPv4's follows
# What a kernel says while it boots well; it is no reason for anything.
USUAL = ("SELinux:", "mmapper_init", "Failed to initialize ubd device 0")


@dataclass(frozen=True)
class Plan:
    """What a keeper needs to know to start a guest.

    `sandbox` are the words before the kernel's name. `tap` is the interface here that leads to the
    guest; without one, the descriptor `port` does. `options` are those of `init`.
    """

    sandbox: Sequence[str]
    tap: str | None
    port: int | None
    memory_mib: int
    source: str
    options: dict[str, Any]

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def tail(folder: Path) -> str:
    """Return the end of what a guest's console said, as one line; empty if it said nothing."""
    try:
        text = (folder / CONSOLE).read_bytes()[-KEPT_BYTES:].decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not line.startswith(USUAL)]
    panic = next((n for n, line in enumerate(telling) if "Kernel panic" in line), None)
    chosen = telling[-TAIL_LINES:] if panic is None else telling[panic : panic + 2]
    return printable_line(" | ".join(chosen))


class Keeper:
    """Holds one guest; the current folder is the keeper's."""

    def __init__(self, plan: Plan):
        self._plan = plan
        Path(EXCHANGE).mkdir(mode=0o700)
        Path(EXCHANGE, "options.json").write_text(json.dumps(plan.options))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(AGENT)
        self._listener.listen(64)
        mine, self._theirs = socket.socketpair()
        self._line = channel.Line(mine.detach(), Path(EXCHANGE), into_guest=True)
        self._line.add(channel.AGENT, 0, 1)
        self._line.watch(self._listener.fileno())

    def serve(self) -> None:
        """Start the guest, and serve until the controller or the guest is gone."""
        with open(CONSOLE, "wb", buffering=0) as console:
            guest = subprocess.Popen(
                self._command(self._theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=[
                    self._theirs.fileno(),
                    *([] if self._plan.port is None else [self._plan.port]),
                ],
                env={"PATH": os.environ["PATH"], "HOME": "/run", "TMPDIR": "/dev/shm"},
            )
        self._theirs.close()
        try:
            while self._line.has(channel.AGENT) and not self._line.ended:
                for descriptor in self._line.wait():
                    if descriptor == self._listener.fileno():
                        self._line.open(self._listener.accept()[0].detach())
        finally:
            guest.kill()
            guest.wait()

    def _command(self, line: int) -> list[str]:
        plan = self._plan
        return [
            *plan.sandbox,
            guest_kernel.KERNEL,
            f"mem={plan.memory_mib}M",
            *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"),
            *("con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{line}"),
            *(f"uml_dir={view.EXCHANGE}/uml", f"umid={UMID}", self._network()),
            *(f"init={sys.executable}", f"PYTHONPATH={plan.source}", "PYTHONDONTWRITEBYTECODE=1"),
            *("--", "-P", "-m", "benchpaper.hosts.guests.init"),
        ]

    def _network(self) -> str:
        plan = self._plan
        address = ipaddress.IPv4Address(plan.options["address"]).packed
        mac = ":".join(f"{byte:02x}" for byte in LOCAL_MAC + address)
        leads = f"tap,ifname={plan.tap},gro=1" if plan.tap else f"fd,fd={plan.port}"
        return f"vec0:transport={leads},depth=128,mac={mac}"


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the controller decides
    plan = Plan(**json.loads(sys.argv[1]))
    Keeper(plan).serve()


if __name__ == "__main__":
    main()
