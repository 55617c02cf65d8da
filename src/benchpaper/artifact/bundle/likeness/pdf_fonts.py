"""The fonts of a PDF, as far as one must know them to say which glyph is painted where."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchpaper.artifact.bundle.likeness import outlines

SUBSET = re.compile(r"^/?[A-Z]{6}\+")
HEX = rb"<\s*([0-9A-Fa-f\s]+)>"
PLAIN_WIDTH = 500.0  # thousandths of the size, where a font does not say


@dataclass(frozen=True)
class Glyph:
    """A glyph: the text that it stands for, its advance (in units of the size), its shape."""

    text: str
    advance: float
    is_space: bool  # of one byte with code 32, to which PDF adds the spacing of words
    outline: str  # a digest


@dataclass(frozen=True)
class Font:
    """A font resource, a dictionary of pikepdf."""

    resource: Any

    @cached_property
    def name(self) -> str:
        """The name without the random tag of a subset."""
        return SUBSET.sub("", str(self.resource.get("/BaseFont", "/Type3"))).lstrip("/")

    def glyphs(self, data: bytes) -> Iterator[Glyph]:
        """Yield the glyphs of a string in a content stream."""
        step = 2 if self._composite else 1
        for start in range(0, len(data), step):
            code = int.from_bytes(data[start : start + step], "big")
            yield self._glyph(code, step == 1 and code == 32)

    def _glyph(self, code: int, is_space: bool) -> Glyph:
        if code not in self._known:
            name = self._names.get(code, f"/{code}")
            advance = self._widths.get(code, self._default_width) * self._unit
            text = self._texts.get(code) or name  # without a map to text, the glyph's name
            self._known[code] = Glyph(text, advance, is_space, self._outline(code, name))
        return self._known[code]

    @cached_property
    def _known(self) -> dict[int, Glyph]:
        return {}

    @cached_property
    def _outline(self) -> outlines.Outline:
        return outlines.of(self.resource)

    @cached_property
    def _composite(self) -> bool:
        return str(self.resource.get("/Subtype")) == "/Type0"

    @cached_property
    def _unit(self) -> float:
        if "/FontMatrix" in self.resource:
            return float(self.resource.FontMatrix[0])
        return 0.001

    @cached_property
    def _default_width(self) -> float:
        if self._composite:
            return float(self.resource.DescendantFonts[0].get("/DW", 1000))
        descriptor = self.resource.get("/FontDescriptor", {})
        return float(descriptor.get("/MissingWidth", PLAIN_WIDTH))

    @cached_property
    def _widths(self) -> dict[int, float]:
        if self._composite:
            return dict(_composite_widths(list(self.resource.DescendantFonts[0].get("/W", []))))
        first = int(self.resource.get("/FirstChar", 0))
        return {first + i: float(width) for i, width in enumerate(self.resource.get("/Widths", []))}

    @cached_property
    def _names(self) -> dict[int, str]:
        encoding = self.resource.get("/Encoding")
        names: dict[int, str] = {}
        code = 0
        for item in encoding.get("/Differences", []) if hasattr(encoding, "keys") else []:
            if isinstance(item, int):
                code = item
            else:
                names[code] = str(item)
                code += 1
        return names

    @cached_property
    def _texts(self) -> dict[int, str]:
        if "/ToUnicode" not in self.resource:
            return {}
        return dict(_unicode(self.resource.ToUnicode.read_bytes()))


def _composite_widths(entries: list[Any]) -> Iterator[tuple[int, float]]:
    """Yield (code, width) of the array W: `c [w1 w2 ...]` or `first last w`."""
    while len(entries) >= 2:
        first = int(entries[0])
        if hasattr(entries[1], "__len__"):
            yield from ((first + i, float(width)) for i, width in enumerate(entries[1]))
            entries = entries[2:]
        else:
            codes = range(first, min(int(entries[1]), 0xFFFF) + 1)
            yield from ((code, float(entries[2])) for code in codes)
            entries = entries[3:]


def _unicode(cmap: bytes) -> Iterator[tuple[int, str]]:
    """Yield (code, text) of a ToUnicode map."""
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, text in re.findall(HEX + rb"\s*" + HEX, block):
            yield int(code, 16), _decoded(text)
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for first, last, text in re.findall(HEX + rb"\s*" + HEX + rb"\s*" + HEX, block):
            start = _decoded(text)
            for i in range(min(int(last, 16) - int(first, 16), 0xFFFF) + 1):
                yield int(first, 16) + i, start[:-1] + chr(min(ord(start[-1]) + i, 0x10FFFF))
        for first, _, texts in re.findall(HEX + rb"\s*" + HEX + rb"\s*\[(.*?)\]", block, re.DOTALL):
            for i, text in enumerate(re.findall(HEX, texts)):
                yield int(first, 16) + i, _decoded(text)


def _decoded(digits: bytes) -> str:
    return bytes.fromhex(digits.decode()).decode("utf-16-be", errors="replace") or "\ufffd"
