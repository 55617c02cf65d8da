"""A client of Redis' protocol (RESP 2) for single commands, over tcp or a Unix socket."""

import socket
from pathlib import Path
from typing import Self

TIMEOUT_S = 10.0


class ProtocolError(RuntimeError):
    """The server answered with an error, or not in Redis' protocol."""


class Connection:
    """A connection to `place`, which is (address, port) or the path of a Unix socket."""

    def __init__(self, place: tuple[str, int] | Path | str):
        if isinstance(place, tuple):
            self._socket = socket.create_connection(place, TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self._socket = _connected(str(place))
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._socket.close()

    def call(self, *words: bytes) -> bytes:
        """Send a command; return its answer, a string. Raises `ProtocolError`."""
        parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)]
        self._socket.sendall(b"".join(parts))
        line = self._reader.readline()
        if line.startswith(b"+") and line.endswith(b"\r\n"):
            return line[1:-2]
        if not line.startswith(b"$") or not line.endswith(b"\r\n"):
            raise ProtocolError(line.decode(errors="replace").strip() or "the connection is closed")
        length = int(line[1:])
        if length < 0:
            raise ProtocolError(f"{words[0].decode()}: there is no such key")
        data = self._reader.read(length + 2)
        if len(data) != length + 2 or not data.endswith(b"\r\n"):
            raise ProtocolError(f"{len(data)} B came of an answer of {length} B")
        return data[:-2]


def _connected(path: str) -> socket.socket:
    """Return a connection to a Unix socket."""
    made = socket.socket(socket.AF_UNIX)
    try:
        made.settimeout(TIMEOUT_S)
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made
