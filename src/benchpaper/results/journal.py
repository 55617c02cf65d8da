"""The journal of a block: one line per finished trial, so that a killed run resumes where it was.

A journal's name carries a key of everything that its trials depend on (code, plan, block, seed,
host, tools, capabilities). If any of these changes, the block is measured again: a cell added to an
old block was not randomised with it.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from benchpaper.core.atomic_write import atomic_write, flush, make_folder
from benchpaper.results.records import TrialRecord
from benchpaper.results.states import FAILED

_FAILED = f'"state": {json.dumps(FAILED)}'.encode()  # as `_line` writes it


def key(**parts: Any) -> str:
    """Return 16 hex digits that identify `parts`, which must be plain data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def note(path: Path, parts: Mapping[str, Any]) -> None:
    """Write the parts of a journal's key into a file next to the journal at `path`.

    A file that is damaged is written anew. On a full disk nothing is written; the journal itself
    will report the full disk.
    """
    sidecar, text = path.with_suffix(".json"), json.dumps(parts).encode()
    with suppress(OSError):
        if not sidecar.exists() or sidecar.read_bytes() != text:
            atomic_write(sidecar, text)


def noted(path: Path) -> dict[str, Any] | None:
    """Return the parts noted last for the same block under another key than that of `path`."""
    block = path.name.partition("-")[0]
    sidecars = sorted(
        path.parent.glob(f"{block}-*.json"), key=lambda sidecar: sidecar.stat().st_mtime_ns
    )
    for sidecar in reversed(sidecars):
        if sidecar.stem != path.stem and (parts := _object(sidecar.read_bytes())):
            return parts
    return None


class Journal:
    """Finished trials of one block, on disk.

    A kill or a full disk may cut the last line short; opening the journal drops that line. A bad
    disk may damage any other line. Such a line is skipped, and `damaged` holds its number, from 1,
    until `repair` removes it.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        make_folder(self.path.parent)
        self._entries, self.damaged, good = _read(self.path)
        if self.path.exists() and good < self.path.stat().st_size:
            os.truncate(self.path, good)
        self._file: BinaryIO = open(self.path, "ab")  # noqa: SIM115 (`close` closes it)
        flush(self.path.parent)  # `append` flushes the file, but not its name

    def __contains__(self, cell_id: str) -> bool:
        return cell_id in self._entries

    def __getitem__(self, cell_id: str) -> TrialRecord:
        return self._entries[cell_id]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> list[TrialRecord]:
        """The finished trials, in the order in which they were measured."""
        return list(self._entries.values())

    def append(self, entry: TrialRecord) -> None:
        """Add a finished trial; on return, it is on disk.

        Raises `OSError`, on a full disk for example; the journal then ends with the earlier
        entries.
        """
        start = self._file.tell()
        try:
            self._file.write(_line(entry))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._abandon(start)
            raise
        self._entries[entry.cell] = entry

    def _abandon(self, start: int) -> None:
        """Remove a half-written line; a later flush must not write the rest of it."""
        descriptor = os.dup(self._file.fileno())
        with suppress(OSError):
            self._file.close()
        os.ftruncate(descriptor, start)
        self._file = os.fdopen(descriptor, "ab")

    def forget(self, cell_ids: Iterable[str]) -> None:
        """Remove trials, so that they are measured again."""
        forgotten = set(cell_ids)
        kept = [entry for cell_id, entry in self._entries.items() if cell_id not in forgotten]
        atomic_write(self.path, b"".join(map(_line, kept)))
        self._file.close()
        self._entries = {entry.cell: entry for entry in kept}
        self._file = open(self.path, "ab")  # noqa: SIM115 (`close` closes it)

    def repair(self) -> None:
        """Remove the damaged lines."""
        self.forget(())
        self.damaged = []

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def finished(path: Path) -> int:
    """Return how many trials the journal at `path` holds; 0 if there is no such file."""
    return len(_read(path)[0])


def holds_failures(path: Path) -> bool:
    """Return whether the journal at `path` may hold a failed trial, without reading its records."""
    return path.exists() and _FAILED in path.read_bytes()


def entries(path: Path) -> list[TrialRecord]:
    """Return the finished trials in the journal at `path`; none if there is no such file."""
    return list(_read(path)[0].values())


def _read(path: Path) -> tuple[dict[str, TrialRecord], list[int], int]:
    """Return the entries by cell, the damaged lines' numbers, and the length of the whole lines."""
    entries: dict[str, TrialRecord] = {}
    damaged, good = [], 0
    if path.exists():
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                good += len(line)
                if entry := _parsed(line):
                    entries[entry.cell] = entry
                else:
                    damaged.append(number)
    return entries, damaged, good


def _parsed(line: bytes) -> TrialRecord | None:
    """Return the record in a line; None for any other line."""
    try:
        record = TrialRecord.from_json(_object(line) or {})
    except (AttributeError, KeyError, TypeError):
        return None
    return record if isinstance(record.cell, str) else None


def _line(entry: TrialRecord) -> bytes:
    return json.dumps(entry.to_json()).encode() + b"\n"


def _object(text: bytes) -> dict[str, Any] | None:
    """Return a JSON object; None for any other text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
