"""Both sides over one protocol: a second client of the S3 side in place of the file side, or back.

They make solo tries of a kind (`anomalies.attribution`), and let a second S3 gateway be a file
side. What a protocol has no words for raises `InexpressibleError`: nothing is emulated, so that
no emulation's fault is blamed on a protocol.
"""

import contextlib


class InexpressibleError(Exception):
    """A protocol has no operation for this."""


class _NoTag:
    """In place of the ETag that a protocol has not: whoever looks at it asks for too much."""

    def __bool__(self):
        raise InexpressibleError("an ETag")

    def __eq__(self, other):
        return bool(self)

    def __hash__(self):
        return bool(self)


NO_TAG = _NoTag()


class _OneProtocol:
    """Base of both adapters: an operation that one does not define is inexpressible."""

    def __getattr__(self, operation):
        raise InexpressibleError(operation)


class ObjectsAsFiles(_OneProtocol):
    """Object view as a file side: whole objects, and no folders.

    S3 has no append, no write in place, no rename, and nothing is open.
    """

    def __init__(self, objects):
        self._objects = objects

    def read(self, name):
        got = self._objects.get(name)
        return got and got[0]

    def write(self, name, data):
        self._objects.put(name, data)

    def delete(self, name):
        self._objects.delete(name)

    def stat(self, name):
        head = self._objects.head(name)
        return head and (head[0], head[2])

    def names(self, folder):
        """Return the names in a folder: what is deeper shows as its first part."""
        prefix, depth = f"{folder}/", folder.count("/") + 2
        keys = self._objects.names(prefix) - {prefix}
        return {"/".join(key.split("/")[:depth]) for key in keys}

    def top(self):
        return {key.split("/")[0] for key in self._objects.names("")}

    def close(self):
        pass


class FilesAsObjects(_OneProtocol):
    """File view as an object side: whole files without ETags.

    Files have no preconditions, no parts of uploads, no metadata, and no listing of a whole tree.
    """

    def __init__(self, files):
        self._files, self._made = files, set()

    def get(self, key):
        data = self._files.read(key)
        return None if data is None else (data, NO_TAG)

    def put(self, key, data, create=False, tag=None):
        if create or tag:
            raise InexpressibleError("a precondition")
        self._make_parent(key)
        self._files.write(key, data)
        return NO_TAG

    def _make_parent(self, key):
        parent = key.rpartition("/")[0]
        if parent not in self._made:
            with contextlib.suppress(InexpressibleError):  # of a gateway's objects
                self._files.make_folder(parent)
            self._made.add(parent)

    def head(self, key):
        status = self._files.stat(key)
        return status and (status[0], NO_TAG, status[1])

    def delete(self, key):
        """Delete as S3 does: a missing name is no error."""
        if self._files.stat(key) is not None:
            self._files.delete(key)

    def names(self, prefix):
        names = self._files.names(prefix.rstrip("/"))
        if any(self._files.names(name) for name in names):
            raise InexpressibleError("a listing of a whole tree")
        return names
