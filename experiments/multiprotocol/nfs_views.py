"""The file side as an NFS export, through clients in user space: the kernel caches nothing."""

import contextlib
import errno

from experiments.multiprotocol.file_operations import LibnfsOperations, NfsOperations
from experiments.multiprotocol.retrying import TIMEOUT_S, retrying
from experiments.systems import libnfs, nfs


class Nfs(NfsOperations):
    """Files of an NFS export, through a client in user space without any cache.

    "Try again later" (NFS4ERR_DELAY) and "stale file handle" (the name now stands for another file)
    are retried, as every client must.
    """

    def __init__(self, kind, address, port, version, export=None):
        import nfs_rs

        self._connect = lambda: nfs.client(address, port, version, export=export, timeout=TIMEOUT_S)
        self._client = self._connect()
        self._missing = (nfs_rs.NfsNotFoundError, nfs_rs.NfsNotADirectoryError, FileNotFoundError)
        self._later = (nfs_rs.NfsRetryableError, nfs_rs.NfsStateLostError)
        self._close_failed, self._refused = nfs_rs.NfsFileCloseError, nfs_rs.NfsProtocolError

    def _retrying(self, act, *arguments):
        return retrying(lambda error: isinstance(error, self._later), act, *arguments)

    def read(self, name):
        return self._retrying(self._read, name)

    def _read(self, name):
        try:
            file = self._client.open(name, "rb")
        except self._missing:
            return None
        return self._read_open(file)

    def _read_open(self, file):
        try:
            return file.read()
        finally:
            # If the file was replaced or deleted since, what was read is still valid.
            with contextlib.suppress(self._close_failed):
                file.close()

    def write(self, name, data):
        self._retrying(nfs.write, self._client, name, data)

    def append(self, name, data):
        status = self.stat(name)  # NFS has no append: a client writes at the end that it sees
        if status is None:
            raise FileNotFoundError(name)
        self.write_at(name, status[0], data)

    def write_at(self, name, offset, data):
        self._retrying(self._write_at, name, offset, data)

    def _write_at(self, name, offset, data):
        with self._client.open(name, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def delete(self, name):
        self._retrying(self._client.remove, name)

    def rename(self, old, new):
        self._retrying(self._client.rename, old, new)

    def names(self, folder):
        try:
            entries = self._retrying(self._client.listdir, folder)
        except self._missing:
            return set()
        return {f"{folder}/{name}" for name in entries if name not in (".", "..")}

    def top(self):
        """Return the names at the top, or None: nfs-rs cannot list Ganesha's over NFS 4."""
        try:
            entries = self._retrying(self._client.listdir, "/")
        except self._refused:
            return None
        return {name for name in entries if name not in (".", "..")}

    def stat(self, name):
        try:
            status = self._retrying(self._client.stat, name)
        except self._missing:
            return None
        return status.size, status.mtime / 1e9

    def make_folder(self, name):
        self._client.mkdir(name, parents=True, exist_ok=True)

    def open(self, name):
        file = self._client.open(name, "rb")
        return lambda: self._read_open(file)

    def close(self):
        self._client.close()


class Libnfs(LibnfsOperations):
    """Files of an NFS export through another client, libnfs, also without any cache."""

    LATER = (errno.EAGAIN, errno.ESTALE)

    def __init__(self, kind, address, port, version, export=None):
        self._connect = lambda: libnfs.Client(
            address, port, version, export=export, timeout=TIMEOUT_S
        )
        self._client = self._connect()

    def _retrying(self, act, *arguments):
        return retrying(lambda error: getattr(error, "errno", 0) in self.LATER, act, *arguments)

    def _or(self, missing, act, *arguments):
        try:
            return self._retrying(act, *arguments)
        except (FileNotFoundError, NotADirectoryError):
            return missing

    def read(self, name):
        return self._or(None, self._read, name)

    def _read(self, name):
        handle = self._client.open(name)
        try:
            return self._client.read_open(handle)
        finally:
            self._client.close_open(handle)

    def write(self, name, data):
        self._retrying(self._client.write, name, data)

    def append(self, name, data):
        self.write_at(name, self._retrying(self._client.stat, name)[0], data)

    def write_at(self, name, offset, data):
        self._retrying(lambda: self._client.write(name, data, offset, create=False))

    def delete(self, name):
        self._retrying(self._client.remove, name)

    def rename(self, old, new):
        self._retrying(self._client.rename, old, new)

    def names(self, folder):
        return {f"{folder}/{name}" for name in self._or((), self._client.listdir, folder)}

    def top(self):
        return set(self._retrying(self._client.listdir, "/"))

    def stat(self, name):
        return self._or(None, self._client.stat, name)

    def make_folder(self, name):
        self._client.mkdir(name)

    def open(self, name):
        handle = self._client.open(name)
        return lambda: self._client.read_open(handle)

    def close(self):
        self._client.close()
