"""Stores of objects to read from, all with one interface.

The methods are `list()`, `size(name)`, `get(name)`, and `get_range(name, start, length)`. A store
counts requests and bytes. Several threads may use it at once, each with its own connection, which
`close()` closes. Formats cache what they read once (footers, tables of offsets) in `opened`.
"""

import os
import re
import threading
import time
from html import unescape
from pathlib import Path

from experiments.training_io.clients.s3_wire import Connection, Signer


class Store:
    def __init__(self):
        self.opened = {}
        self._counts = []
        self._mine = threading.local()

    @property
    def requests(self):
        return sum(count[0] for count in self._counts)

    @property
    def bytes(self):
        return sum(count[1] for count in self._counts)

    def close(self):
        """Close the calling thread's connection; without one, do nothing."""

    def _count(self, data):
        """Count a request and its bytes, in a list per thread, because `+=` is not atomic."""
        mine = self._mine.__dict__
        if "count" not in mine:
            mine["count"] = [0, 0]
            self._counts.append(mine["count"])
        mine["count"][0] += 1
        mine["count"][1] += len(data)
        return data


class MemoryStore(Store):
    """The null target: a folder's files in memory, which leaves only the cost of the harness."""

    def __init__(self, folder):
        super().__init__()
        self._files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}

    def list(self):
        return list(self._files)

    def size(self, name):
        return len(self._files[name])

    def get(self, name):
        return self._count(self._files[name])

    def get_range(self, name, start, length):
        return self._count(memoryview(self._files[name])[start : start + length])


class KnownStore(MemoryStore):
    """The positive control: each request takes `latency_s`, plus its bytes at `bandwidth` B/s.

    Requests do not share the bandwidth. So n requests by r readers take a known time:
    n (latency + bytes / bandwidth) / r.
    """

    def __init__(self, folder, latency_s, bandwidth):
        super().__init__(folder)
        self._latency_s, self._bandwidth = latency_s, bandwidth

    def get(self, name):
        return self._wait(super().get(name))

    def get_range(self, name, start, length):
        return self._wait(super().get_range(name, start, length))

    def _wait(self, data):
        """Sleep, and shorten the thread's next sleep by the excess, so that the mean is exact."""
        mine = self._mine.__dict__
        end = (
            max(mine.get("until", 0.0), time.monotonic() - 0.02)
            + self._latency_s
            + len(data) / self._bandwidth
        )
        mine["until"] = end
        while (left := end - time.monotonic()) > 0:
            time.sleep(left)
        return data


class FileStore(Store):
    """A folder on any file system.

    With `cold`, the store first drops all files from the page cache (POSIX_FADV_DONTNEED). With
    `drop`, it also drops each file after reading, so that the next read reaches the device again.
    With `keep`, each thread opens a file once, as a loader does that reads one large file.
    """

    def __init__(self, folder, cold=False, drop=False, keep=False):
        super().__init__()
        self._folder, self._drop, self._keep = str(folder), drop, keep
        if cold or drop:
            for name in self.list():
                file = os.open(f"{self._folder}/{name}", os.O_RDONLY)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(file)

    def list(self):
        return sorted(entry.name for entry in os.scandir(self._folder))

    def size(self, name):
        return os.stat(f"{self._folder}/{name}").st_size

    def get(self, name):
        return self._read(name, 0, None)

    def get_range(self, name, start, length):
        return self._read(name, start, length)

    def _read(self, name, start, length):
        file = self._opened(name)
        try:
            length = os.fstat(file).st_size - start if length is None else length
            data = os.pread(file, length, start)
            if len(data) != length:
                raise OSError(f"{name}: {len(data)} of {length} B at {start} could be read")
            if self._drop:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            if not self._keep:
                os.close(file)
        return self._count(data)

    def _opened(self, name):
        kept = self._mine.__dict__.setdefault("files", {})
        if name in kept:
            return kept[name]
        file = os.open(f"{self._folder}/{name}", os.O_RDONLY)
        if self._keep:
            kept[name] = file
        return file

    def close(self):
        for file in self._mine.__dict__.pop("files", {}).values():
            os.close(file)


class S3Store(Store):
    """A bucket of an S3 server, read through `experiments.training_io.clients.s3_wire`."""

    def __init__(self, address, port, bucket, credentials, prefix=""):
        super().__init__()
        self._at, self._signer = (address, port), Signer(address, port, bucket, credentials)
        self._prefix, self._sizes = prefix, {}

    def list(self):
        token = None
        while True:
            text = bytes(self._fetch(self._signer.listing(self._prefix, token))).decode()
            for entry in text.split("<Contents>")[1:]:
                name, size = (
                    re.findall(f"<{tag}>([^<]*)</{tag}>", entry)[0] for tag in ("Key", "Size")
                )
                self._sizes[unescape(name)[len(self._prefix) :]] = int(size)
            continued = re.search(r"<NextContinuationToken>([^<]*)</NextContinuationToken>", text)
            if not continued:
                return sorted(self._sizes)
            token = unescape(continued[1])

    def size(self, name):
        if name not in self._sizes:
            self.list()
        return self._sizes[name]

    def get(self, name):
        return self._count(self._fetch(self._signer.get(self._prefix + name)))

    def get_range(self, name, start, length):
        data = self._count(self._fetch(self._signer.get(self._prefix + name, start, length)))
        if len(data) != length:
            raise OSError(f"{name}: {len(data)} of {length} B at {start} came")
        return data

    def _fetch(self, request):
        mine = self._mine.__dict__
        if "connection" not in mine:
            mine["connection"] = Connection(*self._at)
        return mine["connection"].fetch(request)

    def close(self):
        if connection := self._mine.__dict__.pop("connection", None):
            connection.close()


class NfsStore(Store):
    """A folder below an NFS server's export, read by nfs-rs in this process.

    Files stay open after the first read, as a kernel's client keeps their handles.
    """

    def __init__(self, address, port, version, folder):
        super().__init__()
        self._at, self._folder = (address, port, version), folder.strip("/")

    @property
    def _client(self):
        mine = self._mine.__dict__
        if "client" not in mine:
            from experiments.systems import nfs  # only this store needs its package

            mine["client"], mine["files"] = nfs.client(*self._at), {}
        return mine["client"]

    def _file(self, name):
        client, path = self._client, f"{self._folder}/{name}"
        files = self._mine.files
        if name not in files:
            files[name] = (client.open(path, "rb"), client.stat(path).size)
        return files[name]

    def close(self):
        mine = self._mine.__dict__
        if client := mine.pop("client", None):
            for file, _ in mine.pop("files").values():
                file.close()
            client.close()

    def list(self):
        return sorted(self._client.listdir(self._folder))

    def size(self, name):
        return self._file(name)[1]

    def get(self, name):
        return self.get_range(name, 0, self.size(name))

    def get_range(self, name, start, length):
        file, parts = self._file(name)[0], []
        while length:  # a server may return less than requested
            data = file.read_at(start, length)
            if not data:
                raise OSError(f"{name}: the server ended it at {start}, {length} B early")
            parts.append(data)
            start, length = start + len(data), length - len(data)
        return self._count(parts[0] if len(parts) == 1 else b"".join(parts))


def open_store(target):
    """Return the store that `target` describes: its `kind`, and the arguments of that class.

    An example is {"kind": "file", "folder": ...}.
    """
    kinds = {
        "null": MemoryStore,
        "known": KnownStore,
        "file": FileStore,
        "s3": S3Store,
        "nfs": NfsStore,
    }
    arguments = dict(target)
    return kinds[arguments.pop("kind")](**arguments)
