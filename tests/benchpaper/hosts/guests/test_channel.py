"""Many connections over one line: all bytes arrive, in order, and no stream blocks another."""

import contextlib
import os
import random
import socket
import threading
import time

import pytest

from benchpaper.hosts.guests import channel
from benchpaper.hosts.guests.channel import HEAD, Line


class Ends:
    """Both ends of a line, each served by a thread; the far end connects to echo servers."""

    def __init__(self, folder):
        self.lines, self._peers, self._ended = [], [], False
        ends = socket.socketpair()
        for into_guest, end in zip((True, False), ends, strict=True):
            line = Line(end.detach(), folder, into_guest=into_guest, connect=self._connect)
            wake = socket.socketpair()
            line.watch(wake[0].fileno())
            if not into_guest:
                line._send(channel.CLOSE, 0)  # a guest speaks first
            self.lines.append((line, wake))
        self._threads = [threading.Thread(target=self._serve, args=(n,)) for n in (0, 1)]
        self._opening = []
        for thread in self._threads:
            thread.start()

    def _connect(self):
        mine, theirs = socket.socketpair()
        threading.Thread(target=echo, args=(mine,), daemon=True).start()
        return theirs.detach()

    def _serve(self, number):
        line, wake = self.lines[number]
        while not self._ended and not line.ended:
            if line.wait(5.0):
                wake[0].recv(1)
            while number == 0 and self._opening:
                line.open(self._opening.pop())

    def connect(self):
        mine, theirs = socket.socketpair()
        self._opening.append(theirs.detach())
        self.lines[0][1][1].send(b"x")
        return mine

    def close(self):
        self._ended = True
        for _, wake in self.lines:
            wake[1].send(b"x")
        for thread in self._threads:
            thread.join(20)
        for line, wake in self.lines:
            os.close(line._line)
            line._select.close()
            for end in wake:
                end.close()


def echo(connection):
    with connection:
        while data := connection.recv(1 << 16):
            connection.sendall(data)


@pytest.fixture
def ends(tmp_path):
    made = Ends(tmp_path)
    yield made
    made.close()


def send_and_read_back(connection, data):
    sender = threading.Thread(target=connection.sendall, args=(data,))
    sender.start()
    back = bytearray()
    while len(back) < len(data):
        part = connection.recv(1 << 16)
        assert part
        back += part
    sender.join()
    return bytes(back)


def test_streams_of_all_sizes_at_once_arrive_whole(ends, tmp_path):
    chance = random.Random(1)
    sizes = [0, 1, channel.DIRECT, channel.DIRECT + 1, 5 << 20, *chance.choices(range(99999), k=20)]
    results = {}

    def work(number):
        data = random.Random(number).randbytes(sizes[number])
        with ends.connect() as connection:
            connection.settimeout(60)
            results[number] = send_and_read_back(connection, data) == data

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(sizes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(sizes) and all(results.values())
    assert not list(tmp_path.iterdir())  # pieces that went as files


def test_a_reader_that_stands_still_blocks_no_other_stream_and_fills_no_memory(ends):
    with ends.connect() as idle, ends.connect() as busy:
        idle.settimeout(1.0)
        busy.settimeout(60)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += idle.send(bytes(1 << 16))
        except TimeoutError:
            pass  # nobody reads its echoes
        assert sent < 3 * channel.WINDOW
        assert send_and_read_back(busy, b"x" * 100_000) == b"x" * 100_000


def test_the_end_of_a_connection_reaches_the_other_end(ends):
    connection = ends.connect()
    connection.settimeout(20)
    connection.sendall(b"last")
    assert connection.recv(4) == b"last"
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(1) == b""
    connection.close()


def test_nothing_goes_into_a_guest_before_it_speaks(tmp_path):
    """Its terminal would echo it."""
    mine, theirs = socket.socketpair()
    with theirs:
        line = Line(mine.detach(), tmp_path, into_guest=True)
        local = socket.socketpair()
        line.open(local[0].detach())
        line.wait(0.05)
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        theirs.sendall(HEAD.pack(channel.CREDIT, 9, 4) + bytes(4))
        line.wait(5)
        line.wait(0)
        assert theirs.recv(HEAD.size) == HEAD.pack(channel.OPEN, 1, 0)
        local[1].close()
        os.close(line._line)


def test_a_link_that_a_guest_laid_leads_no_piece_elsewhere(tmp_path):
    mine, theirs = socket.socketpair()
    folder, target = tmp_path / "exchange", tmp_path / "target"
    folder.mkdir()
    target.write_text("untouched")
    local = socket.socketpair()
    with theirs, local[1]:
        line = Line(mine.detach(), folder, into_guest=True)
        (folder / f"{channel.PIECE}1").symlink_to(target)
        line.open(local[0].detach())
        local[1].sendall(bytes(2 * channel.DIRECT))
        with pytest.raises(OSError, match="File exists"):
            line.wait(5)
        line.abandon()
    assert target.read_text() == "untouched"


FORGED = {
    "an unknown kind": HEAD.pack(77, 1, 0),
    "a length beyond all bounds": HEAD.pack(channel.DATA, 1, 1 << 31),
    "a stream that the guest opens": HEAD.pack(channel.OPEN, 1, 0),
    "a count of the wrong size": HEAD.pack(channel.CREDIT, 0, 1) + b"x",
    "credit beyond the window": HEAD.pack(channel.CREDIT, 0, 4) + b"\xff" * 4,
    "a file that the guest names": HEAD.pack(channel.FILE, 1, 11) + b"/etc/shadow",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_guest_that_breaks_the_protocol_is_given_up(tmp_path, name):
    mine, theirs = socket.socketpair()
    agent = socket.socketpair()
    with theirs, agent[0], agent[1]:
        line = Line(mine.detach(), tmp_path, into_guest=True)
        line.add(channel.AGENT, agent[0].fileno(), agent[0].fileno())
        theirs.sendall(FORGED[name])
        with pytest.raises(channel.Broken):
            line.wait(5)
        os.close(line._line)


def test_more_than_the_window_is_given_up(tmp_path):
    mine, theirs = socket.socketpair()
    reads, writes = os.pipe()  # nobody reads what is written
    line = Line(mine.detach(), tmp_path, into_guest=True)
    line.add(channel.AGENT, reads, writes)
    line._watch(reads, False, False)
    frame = HEAD.pack(channel.DATA, channel.AGENT, channel.CHUNK) + bytes(channel.CHUNK)
    theirs.setblocking(False)
    rest = frame * (2 + channel.WINDOW // channel.CHUNK)

    def feed(rest):
        while True:
            with contextlib.suppress(BlockingIOError):
                rest = rest[theirs.send(rest) :]
            line.wait(5)

    with theirs, pytest.raises(channel.Broken, match="window"):
        feed(rest)
    for descriptor in (line._line, reads, writes):
        os.close(descriptor)


# ---- at random ----


class Pair:
    """Both ends of a line in one thread, over sockets that take few bytes at once."""

    def __init__(self, folder, chance):
        self._chance = chance
        ends = socket.socketpair()
        for end in ends:
            end.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, chance.choice([0, 1 << 14, 1 << 20])
            )
        self.far_ends = []
        self.here = Line(ends[0].detach(), folder, into_guest=True)
        self.there = Line(ends[1].detach(), folder, into_guest=False, connect=self._accept)
        self.there._send(channel.CLOSE, 99)  # a guest speaks first

    def _accept(self):
        if self._chance.random() < 0.1:
            raise ConnectionRefusedError
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        self.far_ends.append(mine)
        return theirs.detach()

    def connect(self):
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        self.here.open(theirs.detach())
        return mine

    def accepted(self, near):
        """Return the other end of a new connection, or None if it was refused."""
        while not self.far_ends:
            self.turn()
            with contextlib.suppress(BlockingIOError):
                if near.recv(1) == b"":
                    return None
        return self.far_ends.pop()

    def turn(self):
        for line in self._chance.sample([self.here, self.there], 2):
            line.wait(0)

    def close(self):
        for line in (self.here, self.there):
            line.abandon()


class Sender:
    """One direction of a stream: numbered bytes, sent in random pieces, read in random pieces."""

    def __init__(self, writes, reads, chance):
        self._ends, self._chance = [writes, reads], chance
        self._left, self._read, self._sent = chance.choice([0, 9, 4000, 3 << 20]), 0, 0
        self.ended = False

    def step(self):
        writes, reads = self._ends
        if self._left:
            piece = numbered(self._sent, min(self._left, self._chance.randint(1, 200_000)))
            with contextlib.suppress(BlockingIOError, ConnectionError):
                count = writes.send(piece)
                self._sent, self._left = self._sent + count, self._left - count
        with contextlib.suppress(BlockingIOError, ConnectionError):
            data = reads.recv(self._chance.randint(1, 300_000))
            self.ended = not data
            assert data == numbered(self._read, len(data))
            self._read += len(data)
        return self._left or self._read < self._sent


BYTES = bytes(range(251)) * 2000


def numbered(start, count):
    """Return `count` bytes of an endless sequence, from number `start` on."""
    offset = start % 251
    return BYTES[offset : offset + count]


@pytest.mark.parametrize("seed", range(6))
def test_streams_that_begin_and_end_at_random_deliver_all_bytes_or_end(tmp_path, seed):
    """No exception ends either line, whatever closes when, and nothing is left over."""
    chance = random.Random(seed)
    pair, open_pairs, whole = Pair(tmp_path, chance), [], 0
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(300):
        if len(open_pairs) < 8 and chance.random() < 0.2:
            near = pair.connect()
            far = pair.accepted(near)
            if far is None:
                near.close()
            else:
                ways = [Sender(near, far, chance), Sender(far, near, chance)]
                open_pairs.append((near, far, ways))
        for item in list(open_pairs):
            near, far, ways = item
            steps = [way.step() for way in ways]
            if chance.random() < 0.02 or not any(steps):
                whole += not any(steps)
                for end in chance.sample([near, far], 2):
                    end.close()
                open_pairs.remove(item)
        pair.turn()
    for near, far, _ in open_pairs:
        near.close()
        far.close()
    end = time.monotonic() + 60
    while pair.here._streams or pair.there._streams or list(tmp_path.iterdir()):
        assert time.monotonic() < end, (pair.here._streams, pair.there._streams)
        pair.turn()
    assert whole and set(os.listdir("/proc/self/fd")) <= before
    pair.close()


def test_an_end_that_is_gone_ends_a_line_and_raises_nothing(tmp_path):
    for into_guest in (True, False):
        mine, theirs = socket.socketpair()
        theirs.sendall(HEAD.pack(channel.CLOSE, 9, 0))
        theirs.close()
        line, local = Line(mine.detach(), tmp_path, into_guest=into_guest), socket.socketpair()
        line.wait(5)
        line.open(local[0].detach())
        for _ in range(2):
            line.wait(0)
        assert line.ended
        line.abandon()
        local[1].close()


def test_pieces_that_an_earlier_guest_left_unread_are_removed(tmp_path):
    for _ in range(2):  # before and after a power cut
        mine, theirs = socket.socketpair()
        local = socket.socketpair()
        with theirs, local[1]:
            line = Line(mine.detach(), tmp_path, into_guest=True)
            line.open(local[0].detach())
            local[1].sendall(bytes(2 * channel.DIRECT))
            line.wait(5)
            assert len(list(tmp_path.iterdir())) == 1
            line.abandon()
