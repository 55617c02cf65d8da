"""Search files for needles: every text in them, in every form, and their names."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from benchpaper.artifact.bundle.anonymity import homes
from benchpaper.artifact.bundle.anonymity.containers import CLOSED_SUFFIXES, Leaf, leaves
from benchpaper.artifact.bundle.anonymity.folding import fold
from benchpaper.artifact.bundle.anonymity.limits import Budget, CannotSearch
from benchpaper.artifact.bundle.anonymity.needles import Needles

MAX_FINDINGS_A_FILE = 20
UNSEARCHABLE = "no name can be ruled out in"


@dataclass(frozen=True)
class Finding:
    """A name that is left in a place, or a place that could not be searched."""

    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem} {self.place}; {self.remedy}"


class Search:
    """A search for `needles`. Files with the same name and content are searched once."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._clean: set[tuple[str, bytes]] = set()

    @property
    def searched(self) -> int:
        """How many files were searched, and held nothing."""
        return len(self._clean)

    def findings(self, files: Mapping[str, bytes]) -> list[Finding]:
        """Return what is left in `files` ({name: bytes}), by name."""
        return [finding for name in sorted(files) for finding in self._of(name, files[name])]

    def _of(self, name: str, data: bytes) -> list[Finding]:
        key = name, hashlib.sha256(data).digest()
        if key in self._clean:
            return []
        findings: dict[tuple[str, str], Finding] = {}
        for finding in self._findings(name, data):
            findings.setdefault((finding.problem, finding.place), finding)
            if len(findings) == MAX_FINDINGS_A_FILE:
                break
        if not findings:
            self._clean.add(key)
        return list(findings.values())

    def _findings(self, name: str, data: bytes) -> Iterator[Finding]:
        budget = Budget()
        if PurePosixPath(name).suffix.lower() in CLOSED_SUFFIXES:
            yield Finding(f"{name}: nothing here reads such files", UNSEARCHABLE, "leave it out")
        try:
            for leaf in leaves(name.encode(), budget):
                yield from self._in_leaf(leaf, f"the name of {name}{leaf.place}")
            for leaf in leaves(data, budget):
                yield from self._in_leaf(leaf, f"{name}{leaf.place}")
        except CannotSearch as error:
            yield Finding(f"{name}{error.place}: {error}", UNSEARCHABLE, "leave it out")

    def _in_leaf(self, leaf: Leaf, place: str) -> Iterator[Finding]:
        for match in self._needles.matches(leaf.text):
            line = fold(leaf.text).count("\n", 0, match.start) + 1
            yield Finding(
                f"{place}, line {line}" if line > 1 else place,
                f'"{match.needle.text}" is left in',
                "take it out of the sources, or build without it",
            )
        for home in () if leaf.glued else homes.owners(leaf.text):
            yield Finding(
                place, f'the home folder "{home.group()}" is left in', "take it out of the sources"
            )
