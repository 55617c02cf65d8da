"""Messages between this machine and the agent on a target host.

A message is JSON with its length before it. Streams of bytes follow as chunks. Both ends run this
module, so it uses the standard library only.
"""

import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

LENGTH = struct.Struct("<I")
CHUNK = 1 << 20
FAILED = 0xFFFFFFFF  # in place of a chunk's length: the sender could not go on


class Closed(Exception):
    """The other end is gone."""


def send(stream: socket.socket, message: Any) -> None:
    """Send a message, which is plain data."""
    data = json.dumps(message).encode()
    stream.sendall(LENGTH.pack(len(data)) + data)


def receive(stream: socket.socket) -> Any:
    """Return the next message.

    Raises `Closed` when the other end is gone, and `TimeoutError` when the socket times out.
    """
    return json.loads(_exactly(stream, LENGTH.unpack(_exactly(stream, LENGTH.size))[0]))


def send_file(stream: socket.socket, file: BinaryIO) -> None:
    """Send the rest of an open file, in chunks, straight from the page cache."""
    while True:
        here = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        size = min(CHUNK, os.fstat(file.fileno()).st_size - here)
        if size <= 0:
            break
        stream.sendall(LENGTH.pack(size))
        _send_range(stream, file, size)
    stream.sendall(LENGTH.pack(0))


def _send_range(stream: socket.socket, file: BinaryIO, size: int) -> None:
    while size:
        sent = stream.sendfile(file, os.lseek(file.fileno(), 0, os.SEEK_CUR), size)
        if not sent:  # the file shrank meanwhile, but its length is promised
            stream.sendall(bytes(size))
            return
        size -= sent


class Sender:
    """A file object that sends its writes in chunks; `end` closes the stream of bytes."""

    def __init__(self, stream: socket.socket):
        self._stream = stream

    def write(self, data: bytes) -> int:
        for start in range(0, len(data), CHUNK):
            part = data[start : start + CHUNK]
            self._stream.sendall(LENGTH.pack(len(part)))
            self._stream.sendall(part)
        return len(data)

    def end(self) -> None:
        self._stream.sendall(LENGTH.pack(0))

    def give_up(self) -> None:
        self._stream.sendall(LENGTH.pack(FAILED))


def chunks(stream: socket.socket) -> Iterator[memoryview]:
    """Yield the chunks of a stream of bytes, each valid until the next.

    Raises `EOFError` when the sender gave up.
    """
    buffer = bytearray(CHUNK)
    while size := LENGTH.unpack(_exactly(stream, LENGTH.size))[0]:
        if size == FAILED:
            raise EOFError("the sender gave up")
        view = memoryview(buffer)[:size]
        _fill(stream, view)
        yield view


class Receiver:
    """A file object that reads a stream of bytes; `drain` skips what is left unread."""

    def __init__(self, stream: socket.socket):
        self._chunks, self._rest = chunks(stream), b""

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        wanted = size
        while wanted:
            if not self._rest:
                self._rest = bytes(next(self._chunks, b""))
                if not self._rest:
                    break
            parts.append(self._rest[:wanted])
            self._rest = self._rest[len(parts[-1]) :]
            wanted -= len(parts[-1])
        return b"".join(parts)

    def drain(self) -> None:
        for _ in self._chunks:
            pass


def _exactly(stream: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    _fill(stream, memoryview(data))
    return data


def _fill(stream: socket.socket, view: memoryview) -> None:
    while view:
        try:
            count = stream.recv_into(view)
        except ConnectionError:
            count = 0
        if not count:
            raise Closed
        view = view[count:]
