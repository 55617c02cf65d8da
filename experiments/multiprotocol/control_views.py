"""The two sides of a `control.Store`, as the probes use them; see `views`."""

from experiments.multiprotocol.broken_store import Broken
from experiments.multiprotocol.file_operations import Operations


class File(Operations):
    """The file side of a `Store`."""

    def __init__(self, store):
        self._store = store

    def read(self, name):
        entry = self._store.get("file", name)
        return entry and entry.data

    def write(self, name, data):
        self._store.put("file", name, data)

    def append(self, name, data):
        self._store.change("file", name, lambda old: old + data)

    def write_at(self, name, offset, data):
        self._store.change(
            "file", name, lambda old: old[:offset] + data + old[offset + len(data) :]
        )

    def delete(self, name):
        self._store.delete("file", name)

    def rename(self, old, new):
        self._store.rename(old, new)

    def names(self, folder):
        return self._store.names("file", folder + "/")

    def stat(self, name):
        entry = self._store.get("file", name)
        if entry is None and name in self._store.folders:
            return 0, self._store.folders[name]
        return entry and (len(entry.data), entry.mtime)

    def top(self):
        return self._store.top()

    def make_folder(self, name):
        self._store.make_folder(name)

    def open(self, name):
        return self._store.open(name)

    def create(self, name, data):
        return self._store.put("file", name, data, create=True) is not None

    def save(self, name, data):
        self._store.save(name, data)

    def rewrite(self, name, data):
        yield from self._store.rewrite(name, data)

    def truncate(self, name, size):
        self._store.change(
            "file", name, lambda old: old[:size] + self._store.HOLE * (size - len(old))
        )

    def link(self, name, new):
        self._store.link(name, new)

    def symlink(self, name, new):
        self._store.symlink(name, new)

    def set_mode(self, name, mode):
        self._store.set_extra(name, "mode", mode)

    def mode(self, name):
        return self._store.extra(name, "mode")

    def set_attribute(self, name, value):
        self._store.set_extra(name, "attribute", value)

    def attribute(self, name):
        return self._store.extra(name, "attribute")

    def locked(self, name):
        with self._store.locked(name):
            yield
        yield

    def restarted(self):
        self._store.restarted()

    def requests(self, *kinds):
        return 0

    def close(self):
        pass


class S3:
    """The object side of a `Store`."""

    def __init__(self, store):
        self._store = store

    def get(self, key):
        entry = self._store.get("s3", key)
        return entry and (entry.data, entry.tag)

    def put(self, key, data, create=False, tag=None):
        return self._store.put("s3", key, data, create, tag)

    def head(self, key):
        entry = self._store.get("s3", key)
        broken = isinstance(self._store, Broken)  # it gives no ETag here, and a wrong size
        return entry and (len(entry.data) + broken, None if broken else entry.tag, entry.mtime)

    def delete(self, key):
        self._store.delete("s3", key)

    def names(self, prefix):
        return self._store.names("s3", prefix)

    def put_key(self, key, data):
        return self.put(key, data) is not None

    def get_key(self, key):
        entry = self._store.get("s3", key)
        return entry and entry.data

    def has_key(self, key):
        return self._store.has_key(key)

    def keys(self, prefix):
        return self._store.keys(prefix)

    def get_if(self, key, tag):
        return self._store.get_if(key, tag)

    def delete_if(self, key, tag):
        return self._store.delete_if(key, tag)

    def copy(self, key, new):
        return self.put(new, self.get(key)[0]) is not None

    def put_described(self, key, data, content_type, metadata):
        self._store.describe(key, data, (content_type, metadata))
        return True

    def description(self, key):
        entry = self._store.entries.get(key)
        return entry and entry.metadata

    def put_in_halves(self, key, data):
        yield from self._store.put_in_halves(key, data)

    def upload_if_absent(self, key, data):
        return self._store.put("s3", key, data, create=True) is not None

    def upload(self, key, part, rest):
        self._store.keep_part(key, part)
        yield
        self._store.put("s3", key, part + rest)
        yield
