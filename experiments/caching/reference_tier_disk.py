"""The disk tier of `tier0`: one file an item, whole or absent, in a folder that processes may share.

A file appears by rename, and is believed only when its bytes have the digest asked for: what a killed process, a full
disk or a bad one left is removed. The limit holds over all processes: a tally under a lock says how much is reserved. A
process that opens the folder alone recounts, which returns what a killed one had reserved.
"""

import fcntl
import hashlib
import os
import struct
from contextlib import contextmanager
from pathlib import Path

PART = ".part"
TALLY = struct.Struct("<q")


class DiskTier:
    """Up to `limit` bytes of items in `folder`. `digest(bytes)` is what `get` compares with what it is asked for."""

    def __init__(self, folder, limit, digest):
        self._folder, self._limit, self._digest = Path(folder), limit, digest
        self._folder.mkdir(parents=True, exist_ok=True)
        self.corrupt = self.errors = 0
        self._full = False
        self._lock = os.open(self._folder / "tally", os.O_RDWR | os.O_CREAT, 0o600)
        self._users = os.open(self._folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
        self._open()

    def _open(self):
        """Recount when nobody else is here. The tally's lock keeps others from coming in meanwhile."""
        with self._tally() as tally:
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                tally.value = self._recount()
            except BlockingIOError:
                pass
            fcntl.flock(self._users, fcntl.LOCK_SH)

    def close(self):
        """Leave the folder; what it holds stays for the next one."""
        for descriptor in (self._users, self._lock):
            os.close(descriptor)

    def get(self, key, expected):
        """Return the item's bytes, or None when it is not here or is not what the digest says."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError:
            self.errors += 1
            return None
        if self._digest(content) == expected:
            return content
        self.corrupt += 1
        self._remove(path, len(content))
        return None

    def put(self, key, content):
        """Keep the item when there is room for it and the disk takes it; else nothing changes."""
        path = self._path(key)
        if self._full or path.exists() or not self._reserve(len(content)):
            return
        part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
        try:
            path.parent.mkdir(exist_ok=True)
            part.write_bytes(content)
            with self._tally() as tally:
                if path.exists():  # another process kept it meanwhile
                    tally.value -= len(content)
                else:
                    os.rename(part, path)
        except OSError:  # full, read-only, broken: go on without it, and do not try each item again
            self.errors += 1
            self._full = True
            self._release(len(content))
        finally:
            part.unlink(missing_ok=True)

    def _path(self, key):
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / name[2:]

    def _reserve(self, size):
        with self._tally() as tally:
            if tally.value + size > self._limit:
                return False
            tally.value += size
            return True

    def _release(self, size):
        with self._tally() as tally:
            tally.value -= size

    def _remove(self, path, size):
        with self._tally() as tally:
            try:
                path.unlink()
            except FileNotFoundError:  # another process was faster, and gave the room back
                return
            tally.value -= size

    def _recount(self):
        """Remove what killed processes left half-written, and return how many bytes there are."""
        for left in self._folder.glob(f"*/*{PART}"):
            left.unlink(missing_ok=True)
        return sum(path.stat().st_size for path in self._folder.glob("*/*"))

    @contextmanager
    def _tally(self):
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            tally = _Tally(self._lock)
            yield tally
            tally.save()
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


class _Tally:
    """The number of bytes reserved, as the file says it."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self.value = self._saved = (
            TALLY.unpack(raw) if len(raw := os.pread(descriptor, 8, 0)) == 8 else (0,)
        )[0]

    def save(self):
        if self.value != self._saved:
            os.pwrite(self._descriptor, TALLY.pack(self.value), 0)
