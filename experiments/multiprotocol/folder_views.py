"""The file side as a folder of the client's kernel: a FUSE mount, or an NFS export it mounted."""

import errno
import os
from pathlib import Path

from experiments.multiprotocol.file_operations import FolderOperations, MountedOperations
from experiments.multiprotocol.retrying import retrying


class Folder(FolderOperations):
    """Files below a mounted folder."""

    def __init__(self, kind, path):
        self._root = Path(path)

    def read(self, name):
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name, data):
        """Create or replace a file; return once it is durable (fsync, close)."""
        self._write(name, "wb", data)

    def append(self, name, data):
        self._write(name, "ab", data)

    def write_at(self, name, offset, data):
        self._write(name, "r+b", data, offset)

    def _write(self, name, mode, data, offset=None):
        with self._open(name, mode) as file:
            if offset is not None:
                file.seek(offset)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _open(self, name, mode):
        return open(self._root / name, mode)

    def delete(self, name):
        (self._root / name).unlink()

    def rename(self, old, new):
        os.rename(self._root / old, self._root / new)

    def names(self, folder):
        """Return the names in a folder, with the folder's; an empty set without such a folder."""
        try:
            return {f"{folder}/{name}" for name in os.listdir(self._root / folder)}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def top(self):
        """Return the names at the top of what is shared."""
        return set(os.listdir(self._root))

    def stat(self, name):
        """Return (size, time of change in seconds), or None."""
        try:
            status = os.stat(self._root / name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_size, status.st_mtime

    def make_folder(self, name):
        (self._root / name).mkdir(parents=True, exist_ok=True)

    def open(self, name):
        """Open for reading; return a function that reads the whole open file and closes it."""
        descriptor = os.open(self._root / name, os.O_RDONLY)

        def read():
            with open(descriptor, "rb", buffering=0) as file:
                return file.readall()

        return read

    def close(self):
        pass


def _is_stale(error):
    return getattr(error, "errno", 0) == errno.ESTALE


class Mounted(MountedOperations, Folder):
    """Files of an NFS export that the kernel has mounted.

    A file that was replaced on the server may be "stale": the kernel tries once more, then tells
    its programs, which must open the file again.
    """

    def read(self, name):
        return retrying(_is_stale, super().read, name)

    def _open(self, name, mode):
        return retrying(_is_stale, super()._open, name, mode)
