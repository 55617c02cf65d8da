"""Two controls for the probes: a correct store, and a store that is wrong on purpose.

The correct store keeps files and objects in memory behind one lock. The broken store is wrong in
every way that the probes look for. Both live in the probing program: they control the probes, not a
network.
"""

import threading
import time
import unicodedata

PARTS = 4  # pieces in which the broken store writes large contents
LARGE = 1 << 16
DELAY_S = 0.06  # for how long the broken store hides a change from the other side
HELD_S = 0.004  # for how long it stays in a state that must never show


class Entry:
    """One file or object. `id` changes when it is replaced, `tag` with every change."""

    def __init__(self, data, tag, mtime=None):
        self.data, self.tag, self.mtime = data, tag, mtime or time.time()


class Store:
    """Names and contents behind one lock, so that each operation of either side is atomic."""

    def __init__(self):
        self.lock = threading.RLock()
        self.entries, self._tags = {}, 0

    def entry(self, data):
        self._tags += 1
        return Entry(data, f'"{self._tags}"')

    def get(self, side, name):
        with self.lock:
            return self.entries.get(name)

    def put(self, side, name, data, create=False, tag=None):
        """Return the new tag, or None when a precondition fails."""
        with self.lock:
            old = self.entries.get(name)
            if (create and old) or (tag and (not old or old.tag != tag)):
                return None
            self.entries[name] = self.entry(data)
            return self.entries[name].tag

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

    def keep_part(self, name, data):
        """Keep a part of an upload; it stays invisible until the upload is complete."""

    def open(self, name):
        entry = self.get("file", name)
        return lambda: entry.data


class Broken(Store):
    """Store that is wrong on purpose.

    Each side sees the other's changes late. Preconditions are dropped. File writes leave the tag
    alone. Large contents arrive in pieces after the old ones are gone. Renames go name by name.
    Names are folded. Parts of uploads show. Tags belong to other contents. Appends and writes in
    place lose what was there.
    """

    def __init__(self):
        super().__init__()
        # For each side, {name: (until when in s, what this side sees until then)}.
        self._seen_by: dict[str, dict] = {"file": {}, "s3": {}}

    def _fold(self, name):
        head, _, tail = name.rpartition("/")
        return (head + "/" if head else "") + unicodedata.normalize("NFC", tail).lower()

    def _hide(self, side, name):
        other = {"file": "s3", "s3": "file"}[side]
        self._seen_by[other][name] = (time.monotonic() + DELAY_S, self.entries.get(name))

    def _current(self, side, name):
        until, old = self._seen_by[side].get(name, (0, None))
        return old if time.monotonic() < until else self.entries.get(name)

    def get(self, side, name):
        return self._current(side, self._fold(name))

    def put(self, side, name, data, create=False, tag=None):
        name = self._fold(name)
        with self.lock:
            old = self.entries.get(name)
            parent = name.rpartition("/")[0]
            self.entries.pop(parent, None)  # a folder replaces the object of that name
            if len(data) < LARGE:
                self._hide(side, name)
        if len(data) >= LARGE:
            self.entries.pop(name, None)
            time.sleep(HELD_S)
            for part in range(1, PARTS):
                self.entries[name] = self.entry(data[: len(data) * part // PARTS])
                time.sleep(HELD_S)
        new = self.entry(data)
        if side == "file" and old:
            new.tag = old.tag
        self.entries[name] = new
        return new.tag

    def change(self, side, name, edit):
        data = edit(self.entries[name].data)
        half = len(data) // 2
        if len(data) >= LARGE:
            self.entries[name] = self.entry(data[:half] + self.entries[name].data[half:])
            time.sleep(HELD_S)
            self.put(side, name, data)
        else:
            self.put(side, name, b"\0" * half + data[half:])

    def delete(self, side, name):
        name = self._fold(name)
        self._hide(side, name)
        self.entries.pop(name, None)

    def rename(self, old, new):
        for name in [n for n in list(self.entries) if n == old or n.startswith(f"{old}/")]:
            entry = self.entries.pop(name)
            time.sleep(HELD_S)
            self.entries[new + name[len(old) :]] = entry

    def names(self, side, prefix):
        return {
            name
            for name in set(self.entries) | set(self._seen_by[side])
            if name.startswith(prefix) and self._current(side, name)
        }

    def keep_part(self, name, data):
        self.entries[self._fold(name)] = self.entry(data)

    def open(self, name):
        return lambda: self.entries[name].data


class File:
    """The file side of a `Store`; see `views.File`."""

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
        return entry and (len(entry.data), entry.mtime)

    def make_folder(self, name):
        pass

    def open(self, name):
        return self._store.open(name)

    def close(self):
        pass


class S3:
    """The object side of a `Store`; see `views.S3`."""

    def __init__(self, store):
        self._store = store

    def get(self, key):
        entry = self._store.get("s3", key)
        return entry and (entry.data, entry.tag)

    def put(self, key, data, create=False, tag=None):
        return self._store.put("s3", key, data, create, tag)

    def head(self, key):
        entry = self._store.get("s3", key)
        size = entry and len(entry.data) + isinstance(self._store, Broken)
        return entry and (size, entry.tag, entry.mtime)

    def delete(self, key):
        self._store.delete("s3", key)

    def names(self, prefix):
        return self._store.names("s3", prefix)

    def upload(self, key, part, rest):
        self._store.keep_part(key, part)
        yield
        self._store.put("s3", key, part + rest)
        yield
