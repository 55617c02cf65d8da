"""The process that holds a guest: starts its kernel, carries its connections, keeps its console.

The controller starts it in place of `ssh`: its standard input and output are those of the agent in
the guest, and it listens on a socket in its folder for connections to the agent. The guest dies
with it, because the kernel kills the sandbox that the guest runs in.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchpaper.hosts import endings, guest_kernel
from benchpaper.hosts.emulated_kernel import Kernel
from benchpaper.hosts.guests import channel, init, initial_disk, native, view
from benchpaper.hosts.guests.console import Console
from benchpaper.hosts.guests.hardware import Hardware
from benchpaper.hosts.guests.machine import KINDS

EXCHANGE, AGENT, CONTROL = "exchange", "agent", "control"  # in its folder
DISK, LONGEST_REQUEST = "disk", 64
ENDING_S = 5.0  # for a guest to say its last words
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # as the sandbox passes it on
INITIAL_DISK = "initial-disk"  # in its folder, of an emulated guest


@dataclass(frozen=True)
class Plan:
    """What a keeper needs to know to start a guest.

    `kind` is that of the site file. `sandbox` are the words before the kernel's name. `tap` is the
    interface here that leads to the guest; without one, the descriptor `port` does. The descriptor
    `loopback` leads to the loopback of this machine, if anything does. `kernel` has the version,
    image, and modules of an emulated guest's. `programs` is the folder of the compiled programs.
    `options` are those of `init`.
    """

    kind: str
    sandbox: Sequence[str]
    kernel: Sequence[str]
    tap: str | None
    port: int | None
    loopback: int | None
    memory_mib: int
    disk_mib: int
    source: str
    programs: str
    options: dict[str, Any]

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def _own(status: int) -> int:
    """Return a program's status: the sandbox passes a signal on as a shell does."""
    return 128 - status if status > 128 else status


def _listen(name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen(64)
    return listener


class Keeper:
    """Holds one guest; the current folder is the keeper's.

    A connection to the socket `control` may ask for two things. "freeze" stops the guest until that
    connection ends. "power cut" kills the guest, and boots it again on its disk.
    """

    def __init__(self, plan: Plan):
        self._plan = plan
        Path(EXCHANGE).mkdir(mode=0o700)
        Path(EXCHANGE, "options.json").write_text(json.dumps(plan.options))
        programs = Path(plan.programs)
        if starter := native.starter(programs):
            shutil.copy(starter, Path(EXCHANGE, init.STARTER.name))
        if plan.kernel:
            version, image, modules = plan.kernel
            kernel, boot = Kernel(version, Path(image), Path(modules)), native.BOOT
            initial_disk.make(kernel, native.program(boot, programs), Path(INITIAL_DISK))
        if plan.disk_mib:
            with open(Path(EXCHANGE, DISK), "wb") as disk:
                disk.truncate(plan.disk_mib << 20)
        self._agent, self._control = _listen(AGENT), _listen(CONTROL)
        self._console = Console(Path())
        self._asking: dict[int, socket.socket] = {}  # connections to `control`, by descriptor
        self._freezing: int | None = None  # the one that keeps the guest frozen
        self._rebooting: socket.socket | None = None  # the one that waits for the guest
        self._boot()

    def _boot(self) -> None:
        mine, theirs = socket.socketpair()
        self._life, held = os.pipe()
        with theirs, open(held, "wb"):
            self._guest = subprocess.Popen(
                self._command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=self._console.writes,
                stderr=self._console.writes,
                pass_fds=[theirs.fileno(), held, *self._descriptors()],
                env={"PATH": os.environ["PATH"], "HOME": "/run", "TMPDIR": "/dev/shm"},
            )
        self._line = channel.Line(mine.detach(), Path(EXCHANGE), into_guest=True)
        self._line.add(channel.AGENT, 0, 1)
        for listener in (self._agent, self._control, *self._asking.values()):
            self._line.watch(listener.fileno())
        self._line.watch(self._console.reads)

    def serve(self) -> None:
        """Serve until the controller or the guest is gone."""
        try:
            while self._line.has(channel.AGENT) and not self._line.ended:
                for descriptor in self._line.wait():
                    self._attend(descriptor)
                if self._rebooting and self._line.speaks:
                    self._answer(self._rebooting, "")
                    self._rebooting = None
            self._hear_out()
        finally:
            self._end_guest()

    def _hear_out(self) -> None:
        """Keep the last words of a guest that has ended by itself, and how it ended."""
        if self._line.left:
            return
        how = f"has closed its line, and runs {ENDING_S:g} s later"
        with suppress(subprocess.TimeoutExpired):
            status = self._guest.wait(ENDING_S)
            how = f"ended with {endings.plain(_own(status))}"
            if status in KILLED:
                self._console.say("its kernel was killed: this machine may be out of memory")
        while self._console.take():
            pass
        self._console.keep(f"\nthe process of its kernel {how}\n".encode())

    def _end_guest(self) -> None:
        """End the guest, and wait until its kernel is gone: then its interface and disk are free.

        The sandbox that is waited for ends before what runs in it, which holds a pipe open.
        """
        self._guest.kill()
        self._guest.wait()
        select.select([self._life], [], [], ENDING_S)
        os.close(self._life)

    def _attend(self, descriptor: int) -> None:
        if descriptor == self._console.reads:
            self._console.take()
        elif descriptor == self._agent.fileno():
            self._line.open(self._agent.accept()[0].detach())
        elif descriptor == self._control.fileno():
            connection = self._control.accept()[0]
            self._asking[connection.fileno()] = connection
            self._line.watch(connection.fileno())
        elif descriptor in self._asking:
            self._obey(self._asking[descriptor])

    def _obey(self, connection: socket.socket) -> None:
        try:
            words = connection.recv(LONGEST_REQUEST).decode()
        except ConnectionError:
            words = ""
        try:
            if words == "freeze":
                KINDS[self._plan.kind].freeze(Path(EXCHANGE), self._guest.pid)
                self._freezing = connection.fileno()
                self._answer(connection, "")
            elif words == "power cut":
                self._end_guest()
                self._line.abandon()
                self._rebooting = connection
                self._boot()
            else:
                self._release(connection)
        except OSError as error:
            self._answer(connection, str(error) or type(error).__name__)

    def _release(self, connection: socket.socket) -> None:
        """Forget a connection that has ended; the guest that it froze goes on."""
        self._line.forget(connection.fileno())
        del self._asking[connection.fileno()]
        if self._freezing == connection.fileno():
            self._freezing = None
            KINDS[self._plan.kind].thaw(Path(EXCHANGE), self._guest.pid)
        connection.close()

    @staticmethod
    def _answer(connection: socket.socket, error: str) -> None:
        with suppress(OSError):
            connection.sendall(json.dumps({"error": error}).encode() + b"\n")

    def _descriptors(self) -> list[int]:
        return [fd for fd in (self._plan.port, self._plan.loopback) if fd is not None]

    def _command(self, line: int) -> list[str]:
        plan = self._plan
        disk = f"{view.EXCHANGE}/{DISK}" if plan.disk_mib else ""
        address = plan.options["address"]
        hardware = Hardware(plan.memory_mib, disk, plan.tap, plan.port, plan.loopback, address)
        settings = [f"PYTHONPATH={plan.source}", "PYTHONDONTWRITEBYTECODE=1"]
        program = [sys.executable, *settings, "--", "-P", "-m", guest_kernel.FIRST_PROGRAM]
        return [*plan.sandbox, *KINDS[plan.kind].command(hardware, line, program)]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the controller decides
    plan = Plan(**json.loads(sys.argv[1]))
    try:
        Keeper(plan).serve()
    except channel.Broken as error:
        sys.exit(f"the guest broke the protocol of its line: {error}")
    except OSError as error:
        sys.exit(f"this machine could not serve the guest: {error}")


if __name__ == "__main__":
    main()
