"""Changes of the code that somebody accepted: they alter nothing that was measured.

`benchpaper accept-change` writes them into accepted-changes.json next to the results. Each says
which code the trials ran, which code replaces it, why that makes no difference, and when this was
said. Results of both are then results of the same code.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.errors import UserError

FILE = "accepted-changes.json"
VERSION = 1
Sources = Mapping[str, str]  # {path below the project: digest}


@dataclass(frozen=True)
class AcceptedChange:
    """A change from the code with digest `old` to that with digest `new`.

    `files` are {path: (old digest, new digest)} of the sources that differ; "" stands for a file
    that is not there. `why` is one line, and `when` a time in UTC, as text.
    """

    old: str
    new: str
    files: Mapping[str, tuple[str, str]]
    why: str
    when: str

    def to_json(self) -> dict[str, Any]:
        """Return the change as plain data, with the names of the fields as keys."""
        files = {path: list(digests) for path, digests in sorted(self.files.items())}
        return {
            "old": self.old, "new": self.new, "files": files, "why": self.why, "when": self.when,
        }  # fmt: skip

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "AcceptedChange":
        """Return the change that `to_json` wrote. Raises `ValueError` for another form."""
        if not isinstance(entry, dict) or set(entry) != set(cls.__dataclass_fields__):
            raise ValueError("a change has another form")
        texts = [entry[name] for name in ("old", "new", "why", "when")]
        if not all(isinstance(text, str) and text.strip() and text.isprintable() for text in texts):
            raise ValueError("a change lacks a text")
        datetime.fromisoformat(entry["when"])
        files = entry["files"]
        if not isinstance(files, dict) or not all(map(_is_pair, files.values())):
            raise ValueError("the files of a change have another form")
        pairs = {path: (old, new) for path, (old, new) in files.items()}
        return cls(entry["old"], entry["new"], pairs, entry["why"], entry["when"])

    def __str__(self) -> str:
        return f"code {self.old[:12]}… -> {self.new[:12]}… on {self.when[:10]}: {self.why}"


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and [type(part) for part in value] == [str, str]


def read(folder: Path) -> list[AcceptedChange]:
    """Return the accepted changes of the results in `folder`, oldest first.

    Raises `UserError` for a file that is damaged or of another version.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text())
        if content["version"] != VERSION:
            raise ValueError(f"it has version {content['version']}, this program reads {VERSION}")
        return [AcceptedChange.from_json(entry) for entry in content["changes"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{'/'.join(path.parts[-4:])} cannot be read ({error}); restore it from git, or remove "
            "it and accept the change again"
        ) from None


def add(folder: Path, changes: Iterable[AcceptedChange]) -> Path:
    """Add changes to those of the results in `folder`, and return the file."""
    entries = [change.to_json() for change in (*read(folder), *changes)]
    text = json.dumps({"version": VERSION, "changes": entries}, indent=1) + "\n"
    atomic_write(folder / FILE, text)
    return folder / FILE


def same_as(changes: Iterable[AcceptedChange], digest: str) -> set[str]:
    """Return the digests of all codes that count as the one with `digest`, which is one of them."""
    changes, same, before = list(changes), {digest}, 0
    while len(same) > before:
        before = len(same)
        for change in changes:
            if same & {change.old, change.new}:
                same |= {change.old, change.new}
    return same


def equals(changes: Iterable[AcceptedChange], sources: Sources) -> list[dict[str, str]]:
    """Return the sources of the codes that count as the one with `sources`, but not these."""
    changes, known = list(changes), [dict(sources)]
    for current in known:  # it grows meanwhile
        for change in changes:
            for side in (0, 1):
                other = _applied(change, current, side)
                if other is not None and other not in known:
                    known.append(other)
    return known[1:]


def _applied(change: AcceptedChange, sources: Sources, side: int) -> dict[str, str] | None:
    """Return `sources` with the digests of the other side; None if they are not those of `side`."""
    if any(sources.get(path, "") != pair[side] for path, pair in change.files.items()):
        return None
    others = {path: pair[1 - side] for path, pair in change.files.items()}
    digests = {path: digest for path, digest in {**sources, **others}.items() if digest}
    return dict(sorted(digests.items(), key=lambda item: PurePosixPath(item[0])))  # as recorded
