"""The frames on the line between a guest and this machine (`channel`), and their streams."""

import struct

HEAD = struct.Struct("<BII")
OPEN, DATA, FILE, CREDIT, CLOSE = range(1, 6)
COUNT = struct.Struct("<I")
AGENT = 0  # the stream of the agent's standard input and output
WINDOW, CHUNK = 4 << 20, 1 << 20
CREDITED = WINDOW // 4  # bytes that are credited together: a frame per message costs a guest time
READ = 1 << 16  # bytes that a guest reads at once: its memory for more is slow to get each time
DIRECT = 1024  # bytes of a piece that goes over the line itself, into the guest
PIECE = "piece-"  # begins the names of longer ones


class Broken(Exception):
    """The other end broke the protocol."""


def read_count(data: bytes) -> int:
    if len(data) != COUNT.size:
        raise Broken(f"a count of {len(data)} bytes")
    return COUNT.unpack(data)[0]


class Stream:
    """One connection: what it is to write locally, and how far it may read ahead."""

    def __init__(self, number: int, reads: int, writes: int):
        self.number, self.reads, self.writes = number, reads, writes
        self.outgoing = bytearray()  # to be written to `writes`
        self.credit = WINDOW  # bytes that may still be sent to the other end
        self.owed = 0  # bytes written here since the other end was last given credit
        self.closing = False
