"""Many connections over the one serial line between a guest and this machine.

Both ends run `Line`. Each connection is a stream with a number; 0 is the agent's standard input and
output. A frame is a kind, a stream and a length, then that many bytes. A stream may be ahead of its
reader by `WINDOW` bytes, so that no stream fills the memory of either end or blocks the others.

The serial line takes some 4 µs per byte into the guest. Longer pieces therefore go as a file in a
folder that both ends see; each has a new name, because a guest may keep the content of an old one.

Standard library only, because guests run this module before anything else.
"""

import os
import selectors
from collections.abc import Callable
from pathlib import Path

from benchpaper.hosts.guests.frames import (
    AGENT,
    CHUNK,
    CLOSE,
    COUNT,
    CREDIT,
    CREDITED,
    DATA,
    DIRECT,
    FILE,
    HEAD,
    OPEN,
    PIECE,
    READ,
    WINDOW,
    Broken,
    Stream,
    read_count,
)


class Line:
    """One end of the serial line `descriptor`, which this process reads and writes.

    `connect(number)` returns the descriptor of a new local connection for a stream that the other
    end opens. With `folder`, long pieces go through it.
    """

    def __init__(
        self,
        descriptor: int,
        folder: Path,
        *,
        into_guest: bool,
        connect: Callable[[], int] | None = None,
    ):
        self._line, self._folder, self._into_guest = descriptor, folder, into_guest
        self._connect = connect
        self._at_once = CHUNK if into_guest else READ
        self._select = selectors.DefaultSelector()
        self._streams: dict[int, Stream] = {}
        self._incoming, self._outgoing = bytearray(), bytearray()
        self._files = self._numbers = 0
        self.ended = self._unread = False
        self.left = False  # whether this end has ended the agent's stream
        if into_guest:  # the guest before a power cut may have left some unread
            for path in folder.glob(f"{PIECE}*"):
                path.unlink()
        # A terminal echoes what it receives until the guest has set it up, and then speaks first.
        self._may_write = not into_guest
        os.set_blocking(descriptor, False)
        self._watch(descriptor, True, False)

    # ---- streams ----

    def open(self, descriptor: int) -> None:
        """Open a stream for a local connection."""
        self._numbers += 1
        self.add(self._numbers, descriptor, descriptor)
        self._send(OPEN, self._numbers)

    def add(self, number: int, reads: int, writes: int) -> None:
        """Serve the stream `number` from a descriptor to read and one to write."""
        stream = self._streams[number] = Stream(number, reads, writes)
        for descriptor in {reads, writes}:
            os.set_blocking(descriptor, False)
        self._update(stream)

    def has(self, number: int) -> bool:
        return number in self._streams

    def watch(self, descriptor: int) -> None:
        """Let `wait` return when there is something to read from a foreign descriptor."""
        self._watch(descriptor, True, False)

    def forget(self, descriptor: int) -> None:
        """Watch a foreign descriptor no longer."""
        self._watch(descriptor, False, False)

    def abandon(self) -> None:
        """Give up the line and all streams but the agent's, whose descriptors stay open."""
        self._streams.pop(AGENT, None)
        for stream in list(self._streams.values()):
            self._end(stream)
        self._select.close()
        os.close(self._line)

    @property
    def speaks(self) -> bool:
        """True once something has arrived from the other end."""
        return self._may_write

    def _hang_up(self, stream: Stream) -> None:
        """End a stream whose local connection is gone."""
        self.left = self.left or stream.number == AGENT
        self._send(CLOSE, stream.number)
        self._end(stream)

    def _end(self, stream: Stream) -> None:
        self._streams.pop(stream.number, None)
        for descriptor in {stream.reads, stream.writes}:
            self._watch(descriptor, False, False)
            os.close(descriptor)

    # ---- the loop ----

    def wait(self, seconds: float | None = None) -> list[int]:
        """Move bytes once something is ready. Return the foreign descriptors to read from."""
        self._flush()
        foreign = []
        for key, events in self._select.select(seconds):
            if key.fd == self._line:
                self._serve_line(events)
            elif not self._serve_streams(key.fd, events):
                foreign.append(key.fd)
        return foreign

    def _flush(self) -> None:
        """Write what the line takes now; a system call costs a guest too much to ask before."""
        if self._outgoing and self._may_write:
            try:
                del self._outgoing[: os.write(self._line, self._outgoing[:CHUNK])]
            except BlockingIOError:
                pass
            except OSError:  # the other end is gone; what it has sent before is still to be read
                self._unread = True
                self._outgoing.clear()
        self._watch(self._line, not self.ended, bool(self._outgoing) and self._may_write)

    def _serve_line(self, events: int) -> None:
        if not events & selectors.EVENT_READ:
            return
        try:
            data = os.read(self._line, self._at_once)
        except BlockingIOError:
            return
        except OSError:  # what a terminal says when its other end is closed
            data = b""
        self.ended = not data
        self._may_write = True
        self._incoming += data
        while self._take_frame():
            pass

    def _serve_streams(self, descriptor: int, events: int) -> bool:
        """Serve the streams of a local descriptor. Return False if there are none."""
        streams = [s for s in self._streams.values() if descriptor in (s.reads, s.writes)]
        for stream in streams:
            if events & selectors.EVENT_WRITE and descriptor == stream.writes and stream.outgoing:
                self._write(stream)
            if (
                events & selectors.EVENT_READ
                and descriptor == stream.reads
                and self.has(stream.number)
            ):
                self._read(stream)
        return bool(streams)

    def _read(self, stream: Stream) -> None:
        try:
            data = os.read(stream.reads, min(self._at_once, stream.credit))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(stream)
            return
        stream.credit -= len(data)
        if self._into_guest and len(data) > DIRECT:
            self._send(FILE, stream.number, self._put_down(data))
        else:
            self._send(DATA, stream.number, data)
        self._update(stream)

    def _put_down(self, data: bytes) -> bytes:
        self._files += 1
        name = f"{PIECE}{self._files}"
        # Never through a link: the guest can write to this folder.
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
        return name.encode()

    def _write(self, stream: Stream) -> None:
        try:
            count = os.write(stream.writes, stream.outgoing)
        except BlockingIOError:
            count = 0
        except OSError:  # its reader is gone
            self._hang_up(stream)
            return
        del stream.outgoing[:count]
        if stream.closing and not stream.outgoing:
            self._end(stream)
            return
        stream.owed += count
        if stream.owed >= CREDITED:
            self._send(CREDIT, stream.number, COUNT.pack(stream.owed))
            stream.owed = 0
        self._update(stream)

    def _update(self, stream: Stream) -> None:
        """Watch what the stream waits for."""
        reads, writes = stream.credit > 0 and not stream.closing, bool(stream.outgoing)
        if stream.reads == stream.writes:
            self._watch(stream.reads, reads, writes)
        else:
            self._watch(stream.reads, reads, False)
            self._watch(stream.writes, False, writes)

    def _watch(self, descriptor: int, reads: bool, writes: bool) -> None:
        events = selectors.EVENT_READ * reads | selectors.EVENT_WRITE * writes
        known = self._select.get_map().get(descriptor)
        if known is None:
            if events:
                self._select.register(descriptor, events)
        elif not events:
            self._select.unregister(descriptor)
        elif known.events != events:
            self._select.modify(descriptor, events)

    # ---- frames ----

    def _send(self, kind: int, number: int, data: bytes = b"") -> None:
        if not self._unread:
            self._outgoing += HEAD.pack(kind, number, len(data)) + data

    def _take_frame(self) -> bool:
        """Carry out the next whole frame. Return False if there is none yet."""
        if len(self._incoming) < HEAD.size:
            return False
        kind, number, length = HEAD.unpack_from(self._incoming)
        if length > CHUNK or not OPEN <= kind <= CLOSE:
            raise Broken(f"a frame of kind {kind} with {length} bytes")
        end = HEAD.size + length
        if len(self._incoming) < end:
            return False
        data = bytes(self._incoming[HEAD.size : end])
        del self._incoming[:end]
        self._carry_out(kind, number, data)
        return True

    def _carry_out(self, kind: int, number: int, data: bytes) -> None:
        if kind == OPEN:
            self._accept(number)
            return
        if kind == FILE and self._into_guest:
            raise Broken("a file from the guest")
        if kind == FILE:
            path = self._folder / data.decode()
            data, kind = path.read_bytes(), DATA
            path.unlink()
        stream = self._streams.get(number)
        if stream is None:
            return  # it has ended here, and the other end does not know yet
        if kind == DATA:
            if len(stream.outgoing) + len(data) > WINDOW:
                raise Broken("more than the window of a stream")
            stream.outgoing += data
            self._write(stream)
            return
        if kind == CREDIT:
            stream.credit += read_count(data)
            if stream.credit > WINDOW:
                raise Broken("more credit than the window of a stream")
        elif stream.outgoing:  # CLOSE: what has arrived is still to be written
            stream.closing = True
        else:
            self._end(stream)
            return
        self._update(stream)

    def _accept(self, number: int) -> None:
        if self._connect is None or number in self._streams:
            raise Broken(f"an unexpected stream {number}")
        try:
            descriptor = self._connect()
        except OSError:  # the agent has ended
            self._send(CLOSE, number)
            return
        self.add(number, descriptor, descriptor)
