"""The shapes of the glyphs of an embedded font, as digests.

The text in a PDF says what each glyph stands for, but a font can draw a 9 for it. Subsets of one
font are different files with the same outlines, so their outlines are compared.
"""

import hashlib
import io
import tempfile
from collections.abc import Callable
from typing import Any

Outline = Callable[[int, str], str]  # from a code and the name of its glyph to a digest
Glyphs = tuple[Any, Callable[[int, str], str]]  # fontTools' glyphs, and the name that a code has


def of(font: Any) -> Outline:
    """Return the digests of the glyphs of a font dictionary (pikepdf).

    A glyph that draws nothing has the digest "". So has any glyph of a font that is not embedded.
    A font that fontTools cannot read has one digest for all glyphs, that of its bytes.
    """
    composite = font.get("/DescendantFonts", [font])[0]
    descriptor = composite.get("/FontDescriptor", {})
    key = next((key for key in LOADERS if key in descriptor), None)
    if key is None:
        return _type3(font) if "/CharProcs" in font else lambda code, name: ""
    data = bytes(descriptor[key].read_bytes())
    whole = _digest(data)
    try:
        glyphs, name_of = LOADERS[key](data, _indices(composite))
    except Exception:  # fontTools raises errors of any kind for a font that is broken
        return lambda code, name: whole

    def outline(code: int, name: str) -> str:
        from fontTools.pens.recordingPen import DecomposingRecordingPen

        try:
            pen = DecomposingRecordingPen(glyphs)
            glyphs[name_of(code, name)].draw(pen)
            return _digest(repr(pen.value).encode()) if pen.value else ""
        except Exception:
            return whole

    return outline


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _type3(font: Any) -> Outline:
    return lambda code, name: _digest(bytes(font.CharProcs[name].read_bytes()))


def _indices(font: Any) -> Callable[[int], int]:
    """Return the function from codes of a composite font to indices in its font file."""
    table = font.get("/CIDToGIDMap")
    if table is None or str(table) == "/Identity" or not hasattr(table, "read_bytes"):
        return lambda code: code
    data = bytes(table.read_bytes())
    return lambda code: int.from_bytes(data[2 * code : 2 * code + 2], "big")


def _true_type(data: bytes, index: Callable[[int], int]) -> Glyphs:
    from fontTools.ttLib import TTFont

    font = TTFont(io.BytesIO(data))
    return font.getGlyphSet(), lambda code, name: font.getGlyphName(index(code))


def _type1(data: bytes, index: Callable[[int], int]) -> Glyphs:
    from fontTools.t1Lib import T1Font

    with tempfile.NamedTemporaryFile(suffix=".pfa") as file:
        file.write(data)
        file.flush()
        font = T1Font(file.name)
    glyphs = font.getGlyphSet()
    built_in = font.font["Encoding"]
    return glyphs, lambda code, name: name[1:] if name[1:] in glyphs else built_in[code]


def _compact(data: bytes, index: Callable[[int], int]) -> Glyphs:
    from fontTools.cffLib import CFFFontSet

    fonts = CFFFontSet()
    fonts.decompile(io.BytesIO(data), None)
    order = fonts[0].getGlyphOrder()
    glyphs = fonts[0].CharStrings

    def name_of(code: int, name: str) -> str:
        return name[1:] if name[1:] in glyphs else order[index(code)]

    return glyphs, name_of


LOADERS: dict[str, Callable[[bytes, Callable[[int], int]], Glyphs]] = {
    "/FontFile": _type1,
    "/FontFile2": _true_type,
    "/FontFile3": _compact,
}
