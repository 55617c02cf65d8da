"""Take identities out of a project's files: their metadata, their texts, and their names."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchpaper.artifact.bundle.anonymity import homes, rewrite, tables
from benchpaper.artifact.bundle.anonymity.containers import DAMAGE
from benchpaper.artifact.bundle.anonymity.needles import Needles
from benchpaper.core.errors import UserError

REPLACEMENT = "anonymous"
COMMIT = "0" * 40


@dataclass
class Scrubbed:
    """The files without identities, and what changed in each: {name: descriptions}."""

    files: dict[str, bytes] = field(default_factory=dict)
    changes: dict[str, list[str]] = field(default_factory=dict)

    def note(self, name: str, change: str) -> None:
        self.changes.setdefault(name, []).append(change)


def scrub(files: Mapping[str, bytes], needles: Needles) -> Scrubbed:
    """Return the files without the needles in names, texts, and tables, and without metadata.

    Digests of changed tables are replaced wherever a text names them. Raises `UserError` if two
    names become the same.
    """
    result = Scrubbed()
    digests: dict[str, str] = {}
    for name, data in files.items():
        if rewrite.is_left_out(name):
            result.note(name, "left out: it only names people")
        elif name.endswith(".parquet"):
            new = _table(name, data, needles, result)
            digests[hashlib.sha256(data).hexdigest()] = hashlib.sha256(new).hexdigest()
            _add(name, new, needles, result)
    for name, data in files.items():
        if not (name.endswith(".parquet") or rewrite.is_left_out(name)):
            clean = rewrite.rewritten(name, data)
            if clean != data:
                result.note(name, "metadata written anew")
            _add(name, _text(name, clean, needles, digests, result), needles, result)
    return result


def _add(name: str, data: bytes, needles: Needles, result: Scrubbed) -> None:
    new, count = needles.replace(name, REPLACEMENT)
    if count:
        result.note(name, f"renamed to {new}")
    if new in result.files:
        raise UserError(f'two files would both be called "{new}"; rename {name}')
    result.files[new] = data


def _replacer(needles: Needles) -> Callable[[str], tuple[str, int]]:
    def replace(text: str) -> tuple[str, int]:
        text, count = needles.replace(text, REPLACEMENT)
        text, more = homes.replace(text, REPLACEMENT)
        return text, count + more

    return replace


def _text(
    name: str, data: bytes, needles: Needles, digests: Mapping[str, str], result: Scrubbed
) -> bytes:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data  # the search goes through binary files
    text, count = _replacer(needles)(text)
    if count:
        result.note(name, f"{count} places replaced")
    for old, new in digests.items():
        text = text.replace(old, new).replace(old[:16], new[:16])  # notebooks print 16 digits
    return text.encode()


def _table(name: str, data: bytes, needles: Needles, result: Scrubbed) -> bytes:
    replace, total = _replacer(needles), 0
    known: dict[str, str] = {}

    def replaced(text: str) -> str:
        nonlocal total
        if text not in known:
            known[text], count = replace(text)
            total += count
        return known[text]

    try:
        new = tables.rewrite(data, replaced, {"git_commit": COMMIT})
    except DAMAGE:
        return data  # the search refuses it if it is one
    result.note(name, "metadata written anew, commit removed")
    if total:
        result.note(name, f"{total} different texts replaced")
    return new
