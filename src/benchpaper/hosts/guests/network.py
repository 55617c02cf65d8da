"""The network of guests without interfaces on this machine: what an ordinary user can have.

Each guest has one end of a pair of datagram sockets. A process of this module holds the other ends
and forwards frames between them, as an Ethernet switch does. The network has no connection to this
machine, and nothing on this machine listens. A frame that a guest is too slow to take is lost.
"""

import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from benchpaper.core.processes import die_with_parent

BUFFER_BYTES, LONGEST_FRAME = 4 << 20, 1 << 16
ADDRESS_BYTES = 6  # of an Ethernet address; the destination comes first, then the source
IS_GROUP = 1  # in its first byte: a broadcast or multicast
FRAMES_AT_ONCE = 64  # from one guest, before the others get their turn


class Network:
    """The sockets of a site's guests, by name, and the process that forwards between them."""

    def __init__(self, guests: Sequence[str]):
        self._guests = guests
        self._ends: dict[str, socket.socket] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def port(self, guest: str) -> int:
        """Return the descriptor of a guest's end. The guest may end and boot again with it.

        If the process has died, there is a new one: all guests have to boot again then.
        """
        if not self.running:
            self.close()
            self._start()
        return self._ends[guest].fileno()

    def _start(self) -> None:
        pairs = {
            name: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for name in self._guests
        }
        for pair in pairs.values():
            for end in pair:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._ends = {name: pair[0] for name, pair in pairs.items()}
        theirs = [pair[1].fileno() for pair in pairs.values()]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, *map(str, theirs)],
            stdin=subprocess.DEVNULL,
            pass_fds=theirs,
            preexec_fn=partial(die_with_parent, os.getpid()),
            start_new_session=True,
        )
        for pair in pairs.values():
            pair[1].close()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def processes(self) -> list[int]:
        return [self._process.pid] if self._process else []

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        for end in self._ends.values():
            end.close()
        self._ends = {}


class Switch:
    """Forwards frames between sockets; learns from their sources where addresses are."""

    def __init__(self, ports: Sequence[socket.socket]):
        self._ports, self._where = ports, dict[bytes, socket.socket]()

    def serve(self) -> None:
        select = selectors.DefaultSelector()
        for port in self._ports:
            port.setblocking(False)
            select.register(port, selectors.EVENT_READ)
        while True:
            for key, _ in select.select():
                port = next(port for port in self._ports if port.fileno() == key.fd)
                with suppress(BlockingIOError, ConnectionError):
                    for _ in range(FRAMES_AT_ONCE):
                        self.forward(port, port.recv(LONGEST_FRAME))

    def forward(self, source: socket.socket, frame: bytes) -> None:
        destination, sender = frame[:ADDRESS_BYTES], frame[ADDRESS_BYTES : 2 * ADDRESS_BYTES]
        if len(sender) < ADDRESS_BYTES:
            return
        self._where[sender] = source
        known = None if destination[0] & IS_GROUP else self._where.get(destination)
        for port in [known] if known else self._ports:
            if port is not source:
                with suppress(BlockingIOError, ConnectionError):
                    port.send(frame)


if __name__ == "__main__":
    numbers = map(int, sys.argv[1:])
    Switch([socket.socket(fileno=number) for number in numbers]).serve()
