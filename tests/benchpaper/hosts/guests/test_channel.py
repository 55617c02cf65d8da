"""Many connections over one line: all bytes arrive, in order, and no stream blocks another."""

import contextlib
import os
import random
import socket
import threading

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
        line.wait(5)
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
