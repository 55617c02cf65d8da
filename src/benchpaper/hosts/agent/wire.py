"""Messages between this machine and the agent on a target host.

A message is JSON with its length before it. Streams of bytes follow as chunks. Neither end trusts
the other: lengths have a bound, and one deadline covers a whole exchange, however the bytes trickle
in. Both ends run this module, so it uses the standard library only.
"""

import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

LENGTH = struct.Struct("<I")
CHUNK, AHEAD = 1 << 20, 1 << 16
MAX_MESSAGE_BYTES = 64 << 20
FAILED = 0xFFFFFFFF  # in place of a chunk's length: the sender could not go on


class Closed(Exception):
    """The other end is gone."""


class Malformed(Exception):
    """The other end broke the protocol. The text says how, and quotes nothing that it sent."""


class TooLong(ValueError):
    """A message is longer than `MAX_MESSAGE_BYTES`."""


class Channel:
    """A connected socket. After `allow`, everything on it must be done before one deadline.

    It reads ahead, and it waits only where it cannot go on: in guests each system call counts.
    """

    def __init__(self, connection: socket.socket):
        self._socket = connection
        self._deadline: float | None = None
        self._buffer = bytearray(AHEAD)
        self._ahead = memoryview(self._buffer)[:0]  # received and not yet taken
        connection.setblocking(False)

    def allow(self, seconds: float) -> None:
        """Set the deadline: the methods raise `TimeoutError` after so many seconds from now."""
        self._deadline = time.monotonic() + seconds

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def closed(self) -> bool:
        return self.fileno() < 0

    def close(self) -> None:
        self._socket.close()

    def write(self, data: bytes | memoryview) -> None:
        """Send all of `data`."""
        view = memoryview(data)
        while view:
            self._check_deadline()
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)
            except ConnectionError:
                raise Closed from None

    def write_range(self, file: BinaryIO, offset: int, size: int) -> int:
        """Send up to `size` bytes of a file from the page cache; return how many."""
        while True:
            self._wait(select.POLLOUT)
            try:
                return os.sendfile(self.fileno(), file.fileno(), offset, size)
            except BlockingIOError:
                continue
            except ConnectionError:
                raise Closed from None

    def fill(self, view: memoryview) -> None:
        """Receive exactly `len(view)` bytes."""
        while view:
            if not self._ahead and len(view) < AHEAD:
                self._ahead = memoryview(self._buffer)[: self._receive(memoryview(self._buffer))]
            if self._ahead:
                count = min(len(view), len(self._ahead))
                view[:count], self._ahead = self._ahead[:count], self._ahead[count:]
            else:
                count = self._receive(view)
            view = view[count:]

    def _receive(self, view: memoryview) -> int:
        """Receive what has arrived, or the next to arrive; return how many bytes."""
        while True:
            self._wait(select.POLLIN)
            try:
                count = self._socket.recv_into(view)
            except BlockingIOError:
                continue
            except ConnectionError:
                count = 0
            if not count:
                raise Closed
            return count

    def read(self, size: int) -> bytearray:
        """Receive exactly `size` bytes; memory grows as they arrive, not as they are announced."""
        data = bytearray()
        while size > len(data):
            part = bytearray(min(CHUNK, size - len(data)))
            self.fill(memoryview(part))
            data += part
        return data

    def _check_deadline(self) -> float | None:
        """Return the milliseconds until the deadline."""
        if self._deadline is None:
            return None
        remaining = 1e3 * (self._deadline - time.monotonic())
        if remaining <= 0:
            raise TimeoutError
        return remaining

    def _wait(self, event: int) -> None:
        timeout_ms = self._check_deadline()
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(timeout_ms):
            raise TimeoutError


def send(channel: Channel, message: Any) -> None:
    """Send a message, which is plain data. Raises `TooLong`, and then nothing is sent."""
    data = json.dumps(message).encode()
    if len(data) > MAX_MESSAGE_BYTES:
        raise TooLong(f"{len(data)} bytes, and {MAX_MESSAGE_BYTES} are the most")
    channel.write(LENGTH.pack(len(data)) + data)


def receive(channel: Channel) -> Any:
    """Return the next message.

    Raises `Closed` when the other end is gone, `TimeoutError` after the deadline, and `Malformed`.
    """
    (size,) = LENGTH.unpack(channel.read(LENGTH.size))
    if size > MAX_MESSAGE_BYTES:
        raise Malformed(f"a message of {size} bytes, and {MAX_MESSAGE_BYTES} are the most")
    return parse(channel.read(size))


def parse(data: bytes | bytearray) -> Any:
    """Return the JSON in `data`, without infinite numbers. Raises `Malformed`."""
    try:
        return json.loads(data.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Malformed("a message that is not JSON") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def send_file(channel: Channel, file: BinaryIO, size: int) -> None:
    """Send `size` bytes of an open file, in chunks, straight from the page cache.

    If the file has shrunk meanwhile, the receiver learns that the sender gave up.
    """
    offset = 0
    while offset < size:
        chunk = min(CHUNK, size - offset)
        channel.write(LENGTH.pack(chunk))
        end = offset + chunk
        while offset < end:
            sent = channel.write_range(file, offset, end - offset)
            if not sent:
                channel.write(bytes(end - offset))  # the chunk's length is promised
                channel.write(LENGTH.pack(FAILED))
                return
            offset += sent
    channel.write(LENGTH.pack(0))


class Sender:
    """A file object that sends its writes in chunks; `end` closes the stream of bytes."""

    def __init__(self, channel: Channel):
        self._channel = channel

    def write(self, data: bytes) -> int:
        for start in range(0, len(data), CHUNK):
            part = data[start : start + CHUNK]
            self._channel.write(LENGTH.pack(len(part)))
            self._channel.write(part)
        return len(data)

    def end(self) -> None:
        self._channel.write(LENGTH.pack(0))

    def give_up(self) -> None:
        self._channel.write(LENGTH.pack(FAILED))


def chunks(channel: Channel) -> Iterator[memoryview]:
    """Yield the chunks of a stream of bytes, each valid until the next.

    Raises `EOFError` when the sender gave up.
    """
    buffer = bytearray(CHUNK)
    while size := LENGTH.unpack(channel.read(LENGTH.size))[0]:
        if size == FAILED:
            raise EOFError("the sender gave up")
        if size > CHUNK:
            raise Malformed(f"a chunk of {size} bytes, and {CHUNK} are the most")
        view = memoryview(buffer)[:size]
        channel.fill(view)
        yield view


class Receiver:
    """A file object that reads a stream of bytes; `drain` skips what is left unread."""

    def __init__(self, channel: Channel):
        self._chunks, self._rest = chunks(channel), b""

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
