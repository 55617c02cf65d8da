"""Messages between this machine and the agent on a target host: JSON with its length before it, and streams of bytes.

Standard library only: both ends use it.
"""

import json
import os
import struct

LENGTH = struct.Struct("<I")
CHUNK = 1 << 20
FAILED = 0xFFFFFFFF  # instead of a chunk's length: the sender could not go on


class Closed(Exception):
    """The other end is gone."""


def send(stream, message):
    """Send a message, which is plain data, over a socket."""
    data = json.dumps(message).encode()
    stream.sendall(LENGTH.pack(len(data)) + data)


def receive(stream):
    """Return the next message. Raises `Closed` when the other end is gone, `TimeoutError` when the socket's time is
    out."""
    return json.loads(_exactly(stream, LENGTH.unpack(_exactly(stream, LENGTH.size))[0]))


def send_file(stream, file):
    """Send what is left of an open file, in chunks, straight from the page cache."""
    while True:
        here = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        size = min(CHUNK, os.fstat(file.fileno()).st_size - here)
        if size <= 0:
            break
        stream.sendall(LENGTH.pack(size))
        _send_range(stream, file, size)
    stream.sendall(LENGTH.pack(0))


def _send_range(stream, file, size):
    while size:
        sent = stream.sendfile(file, os.lseek(file.fileno(), 0, os.SEEK_CUR), size)
        if not sent:  # it was cut short meanwhile: the length is promised
            stream.sendall(bytes(size))
            return
        size -= sent


class Sender:
    """A file object whose writes go to the other end in chunks; `end` says that this was all."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, data):
        for start in range(0, len(data), CHUNK):
            part = data[start : start + CHUNK]
            self._stream.sendall(LENGTH.pack(len(part)))
            self._stream.sendall(part)
        return len(data)

    def end(self):
        self._stream.sendall(LENGTH.pack(0))

    def give_up(self):
        self._stream.sendall(LENGTH.pack(FAILED))


def chunks(stream):
    """Yield the chunks of a stream of bytes, each valid until the next. Raises `EOFError` when its sender gave up."""
    buffer = bytearray(CHUNK)
    while size := LENGTH.unpack(_exactly(stream, LENGTH.size))[0]:
        if size == FAILED:
            raise EOFError("the sender gave up")
        view = memoryview(buffer)[:size]
        _fill(stream, view)
        yield view


class Receiver:
    """A file object that reads a stream of bytes; at its end, `drain` takes what nobody wanted to read."""

    def __init__(self, stream):
        self._chunks, self._rest = chunks(stream), b""

    def read(self, size):
        parts, wanted = [], size
        while wanted:
            if not self._rest:
                self._rest = bytes(next(self._chunks, b""))
                if not self._rest:
                    break
            parts.append(self._rest[:wanted])
            self._rest = self._rest[len(parts[-1]) :]
            wanted -= len(parts[-1])
        return b"".join(parts)

    def drain(self):
        for _ in self._chunks:
            pass


def _exactly(stream, size):
    data = bytearray(size)
    _fill(stream, memoryview(data))
    return data


def _fill(stream, view):
    while view:
        try:
            count = stream.recv_into(view)
        except ConnectionError:
            count = 0
        if not count:
            raise Closed
        view = view[count:]
