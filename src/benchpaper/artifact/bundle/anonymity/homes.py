"""Home folders, whoever they belong to: a traceback names those of colleagues too."""

import re
from collections.abc import Iterator, Mapping

from benchpaper.artifact.bundle.anonymity.identities import PLACEHOLDERS, Identity, Kind

HOME = re.compile(r"(/home/|/Users/|[\\/]{1,4}Users[\\/]{1,4})([A-Za-z][\w\-]{0,60}(?:\.\w+)?)")
# What may stand before: the beginning of the path, a drive, or a disk that homes lie on.
BEFORE = re.compile(
    r"(?:\A|[^\w.\-~}])(?:[A-Za-z]:|/(?:export|nfs|mnt|net|data|scratch|var|Volumes))?\Z"
)
LONGEST_BEFORE = 10


def owners(text: str) -> Iterator[re.Match[str]]:
    """Yield a match for each home folder of somebody; its second group is the login."""
    if "/home/" in text or "Users" in text:
        for match in HOME.finditer(text):
            before = text[max(0, match.start() - LONGEST_BEFORE) : match.start()]
            if match[2].lower() not in PLACEHOLDERS and BEFORE.search(before):
                yield match


def replace(text: str, replacement: str) -> tuple[str, int]:
    """Return the text with the owner of each home folder replaced, and their number."""
    pieces, position = [], 0
    for match in owners(text):
        pieces += [text[position : match.start(2)], replacement]
        position = match.end(2)
    return "".join([*pieces, text[position:]]), len(pieces) // 2


def identities(files: Mapping[str, bytes]) -> Iterator[Identity]:
    """Yield the login of each home folder in the texts of `files` ({name: bytes})."""
    for name, data in files.items():
        if b"\0" not in data:
            for match in owners(data.decode(errors="replace")):
                yield Identity(Kind.LOGIN, match[2], f"a home folder in {name}")
