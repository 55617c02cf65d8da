"""A control for the probes: a correct store, with files and objects in memory behind one lock.

It lives in the probing program, as `broken_store.Broken` does: both control the probes, not a
network.
"""

import contextlib
import threading
import time

TICK_S = 1e-3  # between the times of two changes


class Entry:
    """One file or object; `tag` and `mtime` change with every change.

    `metadata` is what S3 says of it, `extra` what only files have: permissions, and an attribute.
    """

    def __init__(self, data, tag, mtime, metadata=None, extra=None):
        self.data, self.tag, self.mtime, self.metadata = data, tag, mtime, metadata
        self.extra = extra or {}


class Store:
    """Names and contents behind one lock, so that each operation of either side is atomic.

    A link is a copy: each name is an object of its own.
    """

    HOLE, MODE = b"\0", 0o644

    def __init__(self):
        self.lock = threading.RLock()
        self.entries, self.folders, self._tags = {}, {}, 0
        self._began, self._held = time.time(), set()

    def entry(self, data):
        self._tags += 1
        return Entry(data, f'"{self._tags}"', self._began + self._tags * TICK_S)

    def get(self, side, name):
        with self.lock:
            return self.entries.get(name)

    def put(self, side, name, data, create=False, tag=None):
        """Return the new tag, or None when a precondition fails."""
        with self.lock:
            old = self.entries.get(name)
            if (create and old) or (tag and (not old or old.tag != tag)):
                return None
            if side == "s3" and name in self._held:
                return None
            new = self.entries[name] = self.entry(data)
            if old:
                new.extra = old.extra
                new.metadata = old.metadata if side == "file" else None
            return new.tag

    def describe(self, name, data, metadata):
        with self.lock:
            self.put("s3", name, data)
            self.entries[name].metadata = metadata

    def change(self, side, name, edit):
        """Replace the content by `edit(content)`."""
        with self.lock:
            self.put(side, name, edit(self.entries[name].data))

    def delete(self, side, name):
        with self.lock:
            self.entries.pop(name, None)

    def rename(self, old, new):
        with self.lock:
            moved = [name for name in self.entries if name == old or name.startswith(f"{old}/")]
            for name in moved:
                self.entries[new + name[len(old) :]] = self.entries.pop(name)

    def names(self, side, prefix):
        with self.lock:
            return {name for name in self.entries if name.startswith(prefix)}

    def keys(self, prefix):
        return sorted(self.names("s3", prefix), key=str.encode)

    def top(self):
        return {name.split("/")[0] for name in [*self.entries, *self.folders]}

    def has_key(self, name):
        return name in self.entries

    def delete_if(self, name, tag):
        with self.lock:
            matches = name in self.entries and self.entries[name].tag == tag
            if matches:
                self.delete("s3", name)
            return matches

    def get_if(self, name, tag):
        entry = self.get("s3", name)
        return entry.data if entry and entry.tag == tag else None

    def make_folder(self, name):
        with self.lock:
            self.folders.setdefault(name, time.time())

    def save(self, name, data):
        with self.lock:
            self.put("file", name, data)

    def rewrite(self, name, data):
        """Replace a content in three steps; they show together, at the last."""
        yield
        yield
        self.put("file", name, data)
        yield

    def link(self, name, new):
        with self.lock:
            self.put("file", new, self.entries[name].data)

    symlink = link

    def set_extra(self, name, what, value):
        with self.lock:
            self.entries[name].extra[what] = value

    def extra(self, name, what):
        return self.entries[name].extra.get(what, self.MODE if what == "mode" else None)

    @contextlib.contextmanager
    def locked(self, name):
        """Hold a lock on a name, which keeps the other side from writing it."""
        self._held.add(name)
        try:
            yield
        finally:
            self._held.discard(name)

    def restarted(self):
        """Lose nothing."""

    def put_in_halves(self, name, data):
        yield
        self.put("s3", name, data)
        yield

    def keep_part(self, name, data):
        """Keep a part of an upload; it stays invisible until the upload is complete."""

    def open(self, name):
        entry = self.get("file", name)
        return lambda: entry.data
