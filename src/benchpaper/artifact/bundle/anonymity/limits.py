"""Bounds of the search: how deep, how much, and how long it looks into a file."""

import hashlib
import time
import zlib
from collections.abc import Iterator
from typing import Protocol

MAX_DEPTH = 8  # containers and encodings within each other
MAX_BYTES = 512 << 20  # that one file may unpack and decode to
MAX_SECONDS = 600.0  # for one file
STEP = 1 << 20


class CannotSearch(Exception):
    """Content that the search cannot look into: why, and its place within the file if known."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(why)
        self.place = place


class OutOfBounds(CannotSearch):
    """Content that is too deep, too much, or takes too long."""


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes: ...


class Budget:
    """What is left to spend on one file. Raises `OutOfBounds` when nothing is."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS) -> None:
        self._max_bytes, self._max_seconds = max_bytes, max_seconds
        self._bytes = max_bytes
        self._deadline = time.monotonic() + max_seconds
        self._read: set[bytes] = set()

    def spend(self, count: int) -> None:
        """Account for `count` decoded bytes."""
        self._bytes -= count
        if self._bytes < 0:
            raise OutOfBounds(f"it unpacks to more than {self._max_bytes:,} bytes")
        if time.monotonic() > self._deadline:
            raise OutOfBounds(f"the search took longer than {self._max_seconds:g} s")

    def is_new(self, data: bytes) -> bool:
        """Account for the bytes of a file; return False if they were read before."""
        digest = hashlib.sha256(data).digest()
        if digest in self._read:
            return False
        self._read.add(digest)
        self.spend(len(data))
        return True

    def read(self, stream: Readable) -> bytes:
        """Return all that a decompressing stream gives, within the budget."""
        return b"".join(self._steps(stream))

    def inflate(self, data: bytes) -> bytes:
        """Return what zlib's data unpack to, within the budget; b"" if they are no such data.

        Data that are cut off or damaged give what comes before the damage.
        """
        inflater, parts = zlib.decompressobj(), []
        while data and not inflater.eof:
            try:
                parts.append(inflater.decompress(data, STEP))
            except zlib.error:
                break
            self.spend(len(parts[-1]))
            data = inflater.unconsumed_tail
        return b"".join(parts)

    def _steps(self, stream: Readable) -> Iterator[bytes]:
        while step := stream.read(STEP):
            self.spend(len(step))
            yield step
