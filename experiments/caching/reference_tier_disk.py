"""The disk tier of `tier0`: one file per item, whole or absent, in a folder that processes share.

A file appears by rename. A reader trusts it only if its bytes have the expected digest, and else
removes it: a killed process, a full disk, or a bad disk may have left it. The limit holds over all
processes, because a tally under a lock records the reserved bytes. A process that opens the folder
alone counts again, and so frees the reservations of killed processes.
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
    """Up to `limit` bytes of items in `folder`; `digest(bytes)` returns the digest of an item."""

    def __init__(self, folder, limit, digest):
        self._folder, self._limit, self._digest = Path(folder), limit, digest
        self._folder.mkdir(parents=True, exist_ok=True)
        self.corrupt = self.errors = 0
        self._full = False
        self._lock = os.open(self._folder / "tally", os.O_RDWR | os.O_CREAT, 0o600)
        self._users = os.open(self._folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
        self._open()

    def _open(self):
        """Count again if no other process uses the folder; the tally's lock keeps others out."""
        with self._tally() as tally:
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                tally.value = self._recount()
            except BlockingIOError:
                pass
            fcntl.flock(self._users, fcntl.LOCK_SH)

    def close(self):
        """Leave the folder. Its files stay for the next process."""
        for descriptor in (self._users, self._lock):
            os.close(descriptor)

    def get(self, key, expected):
        """Return the item's bytes, or None if the item is absent or has another digest."""
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
        """Keep the item if there is room and the disk accepts it; otherwise change nothing."""
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
        except OSError:  # full, read-only, or broken: stop writing, to not fail on each later item
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
            except FileNotFoundError:  # another process removed it first and freed its bytes
                return
            tally.value -= size

    def _recount(self):
        """Remove half-written files of killed processes. Return the bytes of all other files."""
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
    """The number of reserved bytes, read from the tally's file."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self.value = self._saved = (
            TALLY.unpack(raw) if len(raw := os.pread(descriptor, 8, 0)) == 8 else (0,)
        )[0]

    def save(self):
        if self.value != self._saved:
            os.pwrite(self._descriptor, TALLY.pack(self.value), 0)
