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
    """One file or object; `tag` changes with every change. `metadata` is what S3 says of it."""

    def __init__(self, data, tag, mtime=None, metadata=None):
        self.data, self.tag, self.mtime, self.metadata = data, tag, mtime or time.time(), metadata


class Store:
    """Names and contents behind one lock, so that each operation of either side is atomic."""

    def __init__(self):
        self.lock = threading.RLock()
        self.entries, self.folders, self._tags = {}, {}, 0

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
            if side == "file" and old:
                self.entries[name].metadata = old.metadata
            return self.entries[name].tag

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

    def keep_part(self, name, data):
        """Keep a part of an upload; it stays invisible until the upload is complete."""

    def open(self, name):
        entry = self.get("file", name)
        return lambda: entry.data


class Broken(Store):
    """Store that is wrong on purpose.

    Each side sees the other's changes late. Preconditions are dropped. File writes leave the tag
    alone. Large contents arrive in pieces after the old ones are gone. Renames go name by name.
    Names are folded. Parts of uploads show, and names that nobody made. Tags belong to other
    contents. Appends and writes in place lose what was there. A file write drops what S3 says of
    the object; a PUT sets its time back. A folder goes with its last object, and HEAD answers for
    it. Listings are in no order.
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
        if side == "s3":
            new.mtime -= 60
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
        self.folders.pop(name.rpartition("/")[0], None)
        name = self._fold(name)
        self._hide(side, name)
        self.entries.pop(name, None)

    def delete_if(self, name, tag):
        self.delete("s3", name)
        return True

    def get_if(self, name, tag):
        return self.entries[self._fold(name)].data

    def has_key(self, name):
        return name in self.entries or name.rstrip("/") in self.folders

    def keys(self, prefix):
        return super().keys(prefix)[::-1]

    def describe(self, name, data, metadata):
        self.put("s3", name, data)
        self.entries[self._fold(name)].metadata = metadata

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
        self.entries[".uploads/1"] = self.entry(data)

    def open(self, name):
        return lambda: self.entries[name].data


class File:
    """The file side of a `Store`; see `folder_views.Folder`."""

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

    def close(self):
        pass


class S3:
    """The object side of a `Store`; see `s3_view.S3`."""

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

    def upload_if_absent(self, key, data):
        return self._store.put("s3", key, data, create=True) is not None

    def upload(self, key, part, rest):
        self._store.keep_part(key, part)
        yield
        self._store.put("s3", key, part + rest)
        yield
