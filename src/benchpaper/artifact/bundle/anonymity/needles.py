"""What to look for: each identity as a whole, and those of its parts that are distinctive.

A part alone counts by one rule, which its length and the list of ordinary words decide:

- seven letters or more: anywhere, also within another word or split over lines;
- four to six letters: as a word of its own, where camelCase, digits, and `_` are borders too;
- shorter, an ordinary word (`will`, `data`), or a given name that is common or has up to six
  letters, since other people have it too: only next to another part of the same name. If no part
  counts alone, the whole counts in the case of a name (`Will Grant`) or joined (`will.grant`).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from benchpaper.artifact.bundle.anonymity.folding import fold, offsets, squeeze

LONG, SHORT = 7, 4  # letters
GAP = r"[\W_]{0,40}"  # between two letters: a break of the line, a comment sign, a hyphen, quotes
NEAR = r"[\W_]{1,4}"  # between two parts of a name
JOINT = r"[._+-]{0,2}"  # within a login
NOISE = re.compile(r"[0-9a-fA-F]{16,}|[A-Za-z0-9+/=]{120,}")  # a digest, or something in base64
SPELLED_OUT = str.maketrans(
    {letter: fold(letter) + "e" for letter in "äöüøÄÖÜØ"} | {"å": "aa", "Å": "Aa"}
)


class Rule(StrEnum):
    """Where a needle counts."""

    ANYWHERE = "anywhere, also within words"
    WORD = "as a word"
    LITERAL = "as it is written"
    TOGETHER = "with its parts next to each other"
    LOGIN = "as a login or a home folder"


@dataclass(frozen=True)
class Needle:
    """Something to look for. `core`, its letters and digits, is in every text that has it.

    `stand_in` takes its place where a format wants something of the same kind.
    """

    text: str
    origin: str
    rule: Rule
    core: str
    pattern: re.Pattern[str]
    stand_in: str = ""


@dataclass(frozen=True)
class Match:
    """A needle in a text, from `start` to `end`."""

    needle: Needle
    start: int
    end: int


@cache
def _listed_words() -> frozenset[str]:
    path = files("benchpaper.artifact.bundle.anonymity") / "ordinary_words.txt"
    lines = path.read_text().splitlines()
    return frozenset(word for line in lines if line[:1] != "#" for word in line.split())


class Maker:
    """Makes the needles of an identity; `ordinary` are words that are no name here either."""

    def __init__(self, ordinary: Iterable[str] = ()) -> None:
        self._ordinary = _listed_words() | set(map(squeeze, ordinary))

    def is_distinctive(self, part: str) -> bool:
        """Return whether a part of a name counts alone."""
        core = squeeze(fold(part))
        return _weight(core) >= SHORT and not core.isdigit() and core not in self._ordinary

    def person(self, name: str, origin: str) -> Iterator[Needle]:
        """Yield the needles of a person's name: the whole, its parts, and usual logins."""
        for spelling in spellings(name):
            parts = _parts(spelling)
            given, surname = parts[:-1], parts[-1:]
            alone = [part for part in given if _is_long(squeeze(part))] + surname
            yield from self._name(parts, alone, name, origin)
            if not given:
                continue
            first, last = parts[0], parts[-1]
            if not (_is_long(squeeze(last)) and self.is_distinctive(last)):
                for login in (first[0] + last, last + first[0]):
                    if len(login) > SHORT and self.is_distinctive(login):
                        yield word(login, login.lower(), f"a usual login of {name}, {origin}")

    def organisation(self, name: str, origin: str) -> Iterator[Needle]:
        """Yield the needles of the name of an organisation: the whole and its parts."""
        for spelling in spellings(name):
            parts = _parts(spelling)
            yield from self._name(parts, parts, name, origin)

    def handle(self, name: str, origin: str, with_parts: bool = True) -> Iterator[Needle]:
        """Yield the needles of a login, an owner, or a host: the whole, and its parts if wanted."""
        parts = _parts(fold(name))
        if not parts:
            return
        if self._all_weak(parts):
            together = JOINT.join(re.escape(part) for part in parts)
            joined = "".join(parts)
            if len(parts) > 1 and len(joined) > SHORT and self.is_distinctive(joined):
                yield _needle(name, origin, Rule.TOGETHER, "".join(parts), together)
            elif len(name) >= 3:
                exact = re.escape(fold(name))
                login = rf"(?<=/home/){exact}|(?<=/Users/){exact}|(?<=~){exact}|{exact}(?=@\w)"
                yield _needle(name, origin, Rule.LOGIN, name, login)
            return
        yield self._alone("".join(parts), name, origin)
        if with_parts and len(parts) > 1:
            yield from self._distinctive(parts, name, origin)

    def _name(
        self, parts: Sequence[str], alone: Iterable[str], shown: str, origin: str
    ) -> Iterator[Needle]:
        """Yield the needles of a name; those of its parts that are in `alone` may count alone."""
        if len(parts) > 1:
            first, *_, last = parts
            for order in {tuple(parts), (first, last), (last, *parts[:-1]), (last, first)}:
                if self._all_weak(alone):
                    yield _together(order, last, shown, origin)
                if self._all_weak(parts):
                    continue
                if _is_long(squeeze("".join(order))):
                    yield anywhere("".join(order), shown, origin)
                else:
                    pattern = NEAR.join(map(re.escape, order))
                    yield _needle(shown, origin, Rule.TOGETHER, "".join(order), pattern)
        yield from self._distinctive(alone, shown, origin)

    def _distinctive(self, parts: Iterable[str], shown: str, origin: str) -> Iterator[Needle]:
        for part in parts:
            if self.is_distinctive(part):
                yield self._alone(part, part, f"part of {shown}, {origin}")

    def _alone(self, text: str, shown: str, origin: str) -> Needle:
        return (anywhere if _is_long(squeeze(text)) else word)(text, shown, origin)

    def _all_weak(self, parts: Iterable[str]) -> bool:
        return not any(self.is_distinctive(part) for part in parts)


def spellings(name: str) -> list[str]:
    """Return a name without accents, and with its umlauts spelled out if it has any."""
    return list(dict.fromkeys([fold(name), fold(name.translate(SPELLED_OUT))]))


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\W_]+", text.replace("'", "")) if part]


def _weight(core: str) -> int:
    """Return the length of a text in letters; an ideograph is worth three."""
    return sum(3 if character >= "\u2e80" else 1 for character in core)


def _is_long(core: str) -> bool:
    return _weight(core) >= (LONG if core.isascii() else LONG - 1)


def _needle(
    shown: str, origin: str, rule: Rule, core: str, pattern: str, flags: int = re.I
) -> Needle:
    return Needle(shown, origin, rule, squeeze(fold(core)), re.compile(pattern, flags))


def anywhere(text: str, shown: str, origin: str) -> Needle:
    """Return a needle for letters and digits in order, whatever else stands between them."""
    letters = [re.escape(character) for character in squeeze(fold(text))]
    return _needle(shown, origin, Rule.ANYWHERE, text, GAP.join(letters))


def word(text: str, shown: str, origin: str) -> Needle:
    """Return a needle for a word of its own, which a hyphen may split over lines."""
    letters = [re.escape(character) for character in fold(text)]
    return _needle(shown, origin, Rule.WORD, text, r"(?:-\n[\W_]{0,40})?".join(letters))


def literal(text: str, shown: str, origin: str) -> Needle:
    """Return a needle for a text with its punctuation, but for line breaks and backslashes."""
    characters = [re.escape(character) for character in fold(text) if not character.isspace()]
    return _needle(shown, origin, Rule.LITERAL, text, r"[\s\\]{0,20}".join(characters))


def spelled_out_address(text: str, shown: str, origin: str) -> Needle:
    """Return a needle for an e-mail address that is written with "at" and "dot"."""
    words = _parts(fold(text.replace("@", " at ").replace(".", " dot ")))
    return _needle(shown, origin, Rule.TOGETHER, "".join(words), NEAR.join(map(re.escape, words)))


def digits(text: str, shown: str, origin: str) -> Needle:
    """Return a needle for an identifier of digits, such as an ORCID iD, in groups or not."""
    pattern = r"[\W_]{0,3}".join(squeeze(text))
    return _needle(shown, origin, Rule.ANYWHERE, text, rf"(?<!\d){pattern}(?!\d)")


def commit(text: str, origin: str) -> Needle:
    """Return a needle for the hash of a commit, also when it is shortened."""
    short = text[:10]
    pattern = rf"(?<![0-9a-f]){short}[0-9a-f]*"
    return _needle(short, origin, Rule.LITERAL, short, pattern)


def _together(parts: Sequence[str], surname: str, shown: str, origin: str) -> Needle:
    """Return a needle for a name whose parts are all short or ordinary words."""
    first, *_, last = named = [part[:1].upper() + part[1:] for part in parts]
    cased = [f"(?:{re.escape(part)}|{re.escape(part.upper())})" for part in named]
    initials = r"(?:[A-Z]\.?[\W_]{1,3}){0,2}"
    if parts[-1] == surname:
        shortened = rf"{first[0]}\.[\W_]{{0,3}}{re.escape(last)}"
    else:
        shortened = rf"{re.escape(first)},[\W_]{{0,3}}{last[0]}\."
    joined = f"(?i:{JOINT.join(map(re.escape, named))})"
    patterns = [f"{NEAR}{initials}".join(cased), shortened, joined]
    return _needle(shown, origin, Rule.TOGETHER, surname, "|".join(patterns), 0)


class Needles:
    """All needles of a search, the longest first."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        unique = {
            (needle.core, needle.pattern.pattern): needle for needle in needles if needle.core
        }
        self.all = sorted(unique.values(), key=lambda needle: (-len(needle.core), needle.core))

    def matches(self, text: str) -> Iterator[Match]:
        """Yield every match in a text, by needle; positions are those in `fold(text)`.

        Takes time in proportion to the text's length.
        """
        folded = fold(text)
        squeezed = squeeze(folded)
        for needle in self.all:
            if needle.core in squeezed:
                for match in needle.pattern.finditer(folded):
                    if _counts(needle, folded, match.start(), match.end()):
                        yield Match(needle, match.start(), match.end())

    def replace(self, text: str, replacement: str) -> tuple[str, int]:
        """Return the text with each match replaced, and the number of replacements."""
        spans: list[tuple[int, int, str]] = []
        for match in sorted(self.matches(text), key=lambda match: (match.start, -match.end)):
            if spans and match.start < spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], match.end), spans[-1][2])
            else:
                spans.append((match.start, match.end, match.needle.stand_in or replacement))
        if not spans:
            return text, 0
        begins = offsets(text)
        pieces, position = [], 0
        for start, end, new in spans:
            pieces += [text[position : max(position, bisect_right(begins, start) - 1)], new]
            position = _end(begins, end)
        return "".join([*pieces, text[position:]]), len(spans)


def _end(begins: Sequence[int], end: int) -> int:
    """Return the index behind the characters that fold to what ends at `end`, with accents."""
    after = bisect_left(begins, end)
    while after + 1 < len(begins) and begins[after + 1] == begins[after]:
        after += 1
    return after


def _counts(needle: Needle, text: str, start: int, end: int) -> bool:
    """Return whether a match has the borders that its rule wants, and is not within noise."""
    if needle.rule is Rule.ANYWHERE:
        return True
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if needle.rule is Rule.LITERAL:
        return not (
            (before.isalnum() and text[start].isalnum())
            or (after.isalnum() and text[end - 1].isalnum())
        )
    left = not before.isalpha() or (before.islower() and text[start].isupper())
    right = not after.isalpha() or (text[end - 1].islower() and after.isupper())
    return left and right and not _is_noise(text, start, end)


def _is_noise(text: str, start: int, end: int) -> bool:
    """Return whether a match lies within a digest or within a run of base64."""
    begin = max(0, start - 60)
    return any(
        run.start() + begin <= start and run.end() + begin >= end
        for run in NOISE.finditer(text[begin : end + 60])
    )
