"""The journal of a block: one line per finished trial, so that a killed run resumes with what is missing.

A journal's name carries the key of everything that its trials depend on (code, plan, block, seed, host, tools,
capabilities): change one of them and the block is measured anew, for a cell added to an old block was not
randomised with it.
"""

import hashlib
import json
import os
from pathlib import Path


def key(**parts):
    """Return 16 hex digits that stand for `parts`, which must be plain data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def note(path, parts):
    """Write what the key of the journal at `path` stands for beside it. On a full disk it stays untold; the journal
    itself says that the disk is full."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        part = beside.with_suffix(".part")
        try:
            part.write_text(json.dumps(parts))
            os.replace(part, beside)
        except OSError:
            part.unlink(missing_ok=True)


def noted(path):
    """Return what was noted last for the block of the journal at `path` under another key, or None."""
    block = path.name.partition("-")[0]
    found = sorted(
        path.parent.glob(f"{block}-*.json"), key=lambda beside: beside.stat().st_mtime_ns
    )
    for beside in reversed(found):
        if beside.stem != path.stem and (parts := _object(beside.read_bytes())):
            return parts
    return None


class Journal:
    """Finished trials of one block, on disk.

    A kill or a full disk may cut the last line short: opening the journal drops it. A bad disk may damage any other
    line: it is skipped, and `damaged` holds its number, from 1, until `repair` takes it out.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._entries, self.damaged, good = _read(self.path)
        if self.path.exists() and good < self.path.stat().st_size:
            os.truncate(self.path, good)
        self._file = open(self.path, "ab")

    def __contains__(self, cell_id):
        return cell_id in self._entries

    def __getitem__(self, cell_id):
        return self._entries[cell_id]

    def __len__(self):
        return len(self._entries)

    @property
    def entries(self):
        """The finished trials, in the order in which they were measured."""
        return list(self._entries.values())

    def append(self, entry):
        """Add a finished trial; when this returns, the entry is on disk. `entry` is plain data with a "cell".

        Raises `OSError` (a full disk, say); the journal then ends with the entries before.
        """
        start = self._file.tell()
        try:
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._abandon(start)
            raise
        self._entries[entry["cell"]] = entry

    def _abandon(self, start):
        """Take back a half-written line; the buffered rest must not be written by a later flush."""
        descriptor = os.dup(self._file.fileno())
        try:
            self._file.close()
        except OSError:
            pass
        os.ftruncate(descriptor, start)
        self._file = os.fdopen(descriptor, "ab")

    def forget(self, cell_ids):
        """Take trials out again, so that they are measured once more."""
        kept = [entry for cell_id, entry in self._entries.items() if cell_id not in set(cell_ids)]
        part = self.path.with_suffix(".part")
        part.write_bytes(b"".join(json.dumps(entry).encode() + b"\n" for entry in kept))
        self._file.close()
        os.replace(part, self.path)
        self._entries = {entry["cell"]: entry for entry in kept}
        self._file = open(self.path, "ab")

    def repair(self):
        """Take the damaged lines out."""
        self.forget(())
        self.damaged = []

    def close(self):
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def finished(path):
    """Return how many trials the journal at `path` holds; none when there is no such file."""
    return len(_read(path)[0])


def entries(path):
    """Return the finished trials in the journal at `path`; none when there is no such file."""
    return list(_read(path)[0].values())


def _read(path):
    """Return the entries by cell, the numbers of damaged lines, and the offset at which the last whole line ends."""
    entries, damaged, good = {}, [], 0
    if path.exists():
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                good += len(line)
                if entry := _parsed(line):
                    entries[entry["cell"]] = entry
                else:
                    damaged.append(number)
    return entries, damaged, good


def _parsed(line):
    entry = _object(line)
    return entry if entry and isinstance(entry.get("cell"), str) else None


def _object(text):
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
