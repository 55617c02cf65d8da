"""The two sides of a system as the probes use them: names as files and as objects.

A view is made from the plain description that `stacks.Stack` yields, on whichever host the probe
runs. Each thread makes its own. A missing name reads as None; every other failure raises.
"""

import contextlib
import errno
import os
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

from experiments.multiprotocol import control
from experiments.multiprotocol.plain_s3 import PlainS3
from experiments.systems import libnfs, nfs, s3

TIMEOUT_S = 10
PART = 5 << 20  # bytes; S3's minimum for every part but the last


def open_views(described):
    """Return a function that makes a new (file view, object view) of the described system."""
    if described["file"]["kind"] == "memory":
        store = control.Broken() if described["file"]["broken"] else control.Store()
        return lambda: (control.File(store), control.S3(store))
    make = {"folder": Folder, "mounted": Mounted, "nfs": Nfs, "libnfs": Libnfs}[
        described["file"]["kind"]
    ]
    return lambda: (make(**described["file"]), S3(described["s3"]))


def _retrying(is_passing, act, *arguments):
    """Return `act(*arguments)`; try again for `TIMEOUT_S` while `is_passing` of what it raises."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return act(*arguments)
        except Exception as error:
            if not is_passing(error) or time.monotonic() > end:
                raise
        time.sleep(0.002)


def _is_stale(error):
    return getattr(error, "errno", 0) == errno.ESTALE


class Folder:
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
        """Return the names in a folder, with the folder's; an empty set if it does not exist."""
        try:
            return {f"{folder}/{name}" for name in os.listdir(self._root / folder)}
        except FileNotFoundError:
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


class Mounted(Folder):
    """Files of an NFS export that the kernel has mounted.

    A file that was replaced on the server may be "stale": the kernel tries once more, then tells
    its programs, which must open the file again.
    """

    def read(self, name):
        return _retrying(_is_stale, super().read, name)

    def _open(self, name, mode):
        return _retrying(_is_stale, super()._open, name, mode)


class Nfs:
    """Files of an NFS export, through a client in user space without any cache.

    "Try again later" (NFS4ERR_DELAY) and "stale file handle" (the name now stands for another file)
    are retried, as every client must.
    """

    def __init__(self, kind, address, port, version, export=None):
        import nfs_rs

        self._client = nfs.client(address, port, version, export=export, timeout=TIMEOUT_S)
        self._missing = (nfs_rs.NfsNotFoundError, nfs_rs.NfsNotADirectoryError, FileNotFoundError)
        self._later = (nfs_rs.NfsRetryableError, nfs_rs.NfsStateLostError)
        self._close_failed, self._refused = nfs_rs.NfsFileCloseError, nfs_rs.NfsProtocolError

    def _retrying(self, act, *arguments):
        return _retrying(lambda error: isinstance(error, self._later), act, *arguments)

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


class Libnfs:
    """Files of an NFS export through another client, libnfs, also without any cache."""

    LATER = (errno.EAGAIN, errno.ESTALE)

    def __init__(self, kind, address, port, version, export=None):
        self._client = libnfs.Client(address, port, version, export=export, timeout=TIMEOUT_S)

    def _retrying(self, act, *arguments):
        return _retrying(lambda error: getattr(error, "errno", 0) in self.LATER, act, *arguments)

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


class S3(PlainS3):
    """Objects of a bucket, through a fast client where it can do it."""

    def __init__(self, endpoint):
        super().__init__(endpoint)
        self._store = s3.Endpoint.from_dict(endpoint).obstore(timeout=f"{TIMEOUT_S}s")

    def get(self, key):
        """Return (content, ETag), or None."""
        try:
            answer = self._store.get(key)
            return bytes(answer.bytes()), answer.meta["e_tag"]
        except FileNotFoundError:
            return None

    def put(self, key, data, create=False, tag=None):
        """Create or replace an object; return its new ETag, or None if a precondition failed.

        With `create`, only if there is no object (If-None-Match: *). With `tag`, only if the object
        has that ETag (If-Match).
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode = "create" if create else {"e_tag": tag} if tag else "overwrite"
        try:
            return self._store.put(key, data, mode=mode, use_multipart=False)["e_tag"]
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return None

    def head(self, key):
        """Return (size, ETag, time of change in seconds), or None."""
        try:
            answer = self._store.head(key)
        except FileNotFoundError:
            return None
        return answer["size"], answer["e_tag"], answer["last_modified"].timestamp()

    def delete(self, key):
        """Delete one object by a plain DELETE.

        The client's own delete sends a list, and rejects JuiceFS's answer to that.
        """
        import obstore

        url = obstore.sign(self._store, "DELETE", key, timedelta(minutes=5))
        try:
            urllib.request.urlopen(
                urllib.request.Request(url, method="DELETE"), timeout=TIMEOUT_S
            ).close()
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def names(self, prefix):
        return {entry["path"] for chunk in self._store.list(prefix.rstrip("/")) for entry in chunk}

    def upload(self, key, part, rest):
        """Upload an object in two parts.

        At the first yield the first part is there; at the second, the object is complete.
        """
        import obstore

        writer = obstore.open_writer(self._store, key, buffer_size=len(part))
        writer.write(part + rest)
        yield
        writer.close()
        yield
