"""A control for the probes: a store that is wrong on purpose in every way that they look for."""

import time
import unicodedata

from experiments.multiprotocol.control import Store

PARTS = 4  # pieces in which it writes large contents
LARGE = 1 << 16
DELAY_S = 0.06  # for how long it hides a change from the other side
OPEN_DELAY_S = 0.4  # and from a client that has the file open
HELD_S = 0.004  # for how long it stays in a state that must never show
BACK_S = 60  # by how much a PUT sets the time back


class Broken(Store):
    """Store that is wrong on purpose.

    Each side sees the other's changes late. Preconditions are dropped. File writes leave the tag
    alone. Large contents arrive in pieces after the old ones are gone. Renames go name by name.
    Names are folded. Parts of uploads show, and names that nobody made. Tags belong to other
    contents. Appends and writes in place lose what was there, and holes are not empty. A file write
    drops what S3 says of the object; a PUT drops what the file side says of the file, and sets its
    time back or leaves it. Every second PUT after a file write is undone. A folder goes with its
    last object, and HEAD answers for it. Listings are in no order. Links share their content.
    Locks hold nobody. A restart forgets what files wrote.
    """

    HOLE = b"?"

    def __init__(self):
        super().__init__()
        # For each side, {name: (until when in s, what this side sees until then)}.
        self._seen_by: dict[str, dict] = {"file": {}, "s3": {}}
        self._written_by: dict[str, str] = {}  # which side wrote a name last
        self._links: dict[str, str] = {}
        self._opened: set[str] = set()
        self._puts_over_files = 0

    def _fold(self, name):
        head, _, tail = name.rpartition("/")
        return (head + "/" if head else "") + unicodedata.normalize("NFC", tail).lower()

    def _hide(self, side, name):
        other = {"file": "s3", "s3": "file"}[side]
        delay = OPEN_DELAY_S if side == "s3" and name in self._opened else DELAY_S
        self._seen_by[other][name] = (time.monotonic() + delay, self.entries.get(name))

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
            self._put_in_pieces(name, data)
        new = self.entry(data)
        if side == "file" and old:
            new.tag = old.tag
        if side == "s3":
            self._spoil(name, old, new, tag)
        self._written_by[name] = side
        for each in (name, self._links.get(name, name)):
            self.entries[each] = new
        return new.tag

    def _put_in_pieces(self, name, data):
        self.entries.pop(name, None)
        time.sleep(HELD_S)
        for part in range(1, PARTS):
            self.entries[name] = self.entry(data[: len(data) * part // PARTS])
            time.sleep(HELD_S)

    def _spoil(self, name, old, new, tag):
        """Set the time back; after a file write leave the time, or undo the PUT, in turns."""
        new.mtime -= BACK_S
        if old and self._written_by.get(name) == "file":
            number = self._puts_over_files
            self._puts_over_files += 1
            if number % 2 and tag is None:
                new.data = old.data
            if number % 4 == 2:
                new.mtime = old.mtime

    def change(self, side, name, edit):
        data = edit(self.entries[name].data)
        half = len(data) // 2
        if len(data) >= LARGE:
            self.entries[name] = self.entry(data[:half] + self.entries[name].data[half:])
            time.sleep(HELD_S)
            self.put(side, name, data)
        else:
            self.put(side, name, b"\0" * half + data[half:])

    def rewrite(self, name, data):
        for part in (b"", data[: len(data) // 2], data):
            self.entries[name] = self.entry(part)
            yield

    def restarted(self):
        for name in [name for name, side in self._written_by.items() if side == "file"]:
            self.entries.pop(name, None)

    def put_in_halves(self, name, data):
        self.entries[name] = self.entry(data[: len(data) // 2])
        yield
        self.put("s3", name, data)
        yield

    def delete(self, side, name):
        self.folders.pop(name.rpartition("/")[0], None)
        name = self._fold(name)
        if side == "file" and name in self._opened:
            self.entries[f"{name.rpartition('/')[0]}/.nfs{self._tags}"] = self.entries[name]
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

    def link(self, name, new):
        self.entries[new] = self.entries[name]
        self._links |= {name: new, new: name}

    def symlink(self, name, new):
        self.link(name, new)
        self.entries[new] = self.entry(None)  # listed, and cannot be read

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
        self._opened.add(name)
        return lambda: self.entries[name].data
