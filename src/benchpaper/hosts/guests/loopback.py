"""The way between a guest and this machine's loopback that an ordinary user can have: `passt`.

passt takes the guest's TCP connections to `HERE` and makes them to `LEADS_TO` on this machine. It
listens at the guest's own address of this machine's loopback, and passes connections to the ports
`PORTS` on to the guest. User-Mode Linux speaks datagrams and passt a stream of frames; the process
of this module joins them.
"""

import os
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial

from benchpaper.core.printable import printable_line
from benchpaper.core.processes import die_with_parent
from benchpaper.hosts.guest_kernel import FORWARDER
from benchpaper.hosts.guests.network import BUFFER_BYTES, LONGEST_FRAME

HERE = "192.0.2.1"  # of RFC 5737, which no network has
LEADS_TO = "127.0.0.1"  # the address of this machine's loopback that passt makes of it
PORTS = (40000, 40999)  # a guest's free ports
LENGTH = struct.Struct(">I")


class Loopback:
    """A running passt. `end` is the guest's end, a datagram socket.

    `guest` is the guest's address, and `address` that of this machine's loopback.
    """

    def __init__(self, guest: str, address: str):
        self.end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (self.end, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), guest, address],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                preexec_fn=partial(die_with_parent, os.getpid()),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def failure(self) -> str:
        """Return why passt has ended, or "" while it runs."""
        if self._process.poll() is None:
            return ""
        assert self._process.stderr
        said = self._process.stderr.read().decode(errors="replace")
        return f"{FORWARDER} ended; it said: {printable_line(' '.join(said.split()), 300)}"

    def close(self) -> None:
        self.end.close()
        self._process.kill()
        self._process.communicate()


def command(descriptor: int, guest: str, address: str) -> list[str]:
    """Return the command line of passt, which speaks through a connected socket."""
    ports = f"{address}/{PORTS[0]}-{PORTS[1]}"
    return [
        *(FORWARDER, "--foreground", "--quiet", "--fd", str(descriptor), "--ipv4-only"),
        *("--address", guest, "--netmask", "255.255.255.0", "--gateway", HERE, "--no-dhcp"),
        *("--tcp-ports", ports, "--udp-ports", "none"),
    ]


def _to_passt(frames: socket.socket, stream: socket.socket) -> None:
    with suppress(OSError):
        while True:
            frame = frames.recv(LONGEST_FRAME)
            stream.sendall(LENGTH.pack(len(frame)) + frame)


def _from_passt(stream: socket.socket, frames: socket.socket) -> None:
    reader = stream.makefile("rb")
    with suppress(OSError):
        while len(head := reader.read(LENGTH.size)) == LENGTH.size:
            frame = reader.read(LENGTH.unpack(head)[0])
            with suppress(BlockingIOError):  # as on a network, a slow guest loses frames
                frames.send(frame, socket.MSG_DONTWAIT)


def main(number: int, guest: str, address: str) -> int:
    """Join a guest's datagram socket and passt until one of them ends."""
    frames = socket.socket(fileno=number)
    ours, theirs = socket.socketpair()
    with theirs:
        passt = subprocess.Popen(
            command(theirs.fileno(), guest, address),
            pass_fds=[theirs.fileno()],
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    for work in (partial(_to_passt, frames, ours), partial(_from_passt, ours, frames)):
        threading.Thread(target=work, daemon=True).start()
    return passt.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
