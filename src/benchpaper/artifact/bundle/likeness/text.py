"""Text on a page: where each glyph lands."""

import unicodedata
from typing import Any

import pikepdf

from benchpaper.artifact.bundle.likeness.canvas import Canvas, to_matrix
from benchpaper.artifact.bundle.likeness.geometry import IDENTITY, Matrix, apply, multiply
from benchpaper.artifact.bundle.likeness.pdf_fonts import Font, Glyph
from benchpaper.artifact.bundle.likeness.pdf_values import UnreadableError

LIGATURES = ("ff", "fi", "fl", "ffi", "ffl")


class TextCanvas(Canvas):
    """A canvas with the operators of text."""

    _line = _text = IDENTITY

    def _begin_text(self) -> None:
        self._line = self._text = IDENTITY

    def _font(self, name: Any, size: Any) -> None:
        self._set(font=self._font_of(self._resources.Font[str(name)]), size=float(size))

    def _move(self, x: Any, y: Any) -> None:
        self._line = multiply((1.0, 0.0, 0.0, 1.0, float(x), float(y)), self._line)
        self._text = self._line

    def _move_and_lead(self, x: Any, y: Any) -> None:
        self._set(leading=-float(y))
        self._move(x, y)

    def _text_matrix(self, *numbers: Any) -> None:
        self._line = self._text = to_matrix(numbers)

    def _next_line(self) -> None:
        self._move(0.0, -self._state.leading)

    def _show(self, text: Any) -> None:
        state = self._state
        if not state.font:
            raise UnreadableError("text without a font")
        unit = (state.size * state.stretch, 0.0, 0.0, state.size, 0.0, state.rise)
        for glyph in state.font.glyphs(bytes(text)):
            self._glyph(state.font, glyph, multiply(multiply(unit, self._text), state.matrix))
            space = state.after_space if glyph.is_space else 0.0
            self._advance(glyph.advance * state.size + state.after_character + space)

    def _glyph(self, font: Font, glyph: Glyph, place: Matrix) -> None:
        """Add a glyph; a ligature counts as its letters, because not every program sets it."""
        mode = self._state.mode
        stroke = mode in (1, 2, 5, 6)
        letters = unicodedata.normalize("NFKC", glyph.text)
        ligature = letters in LIGATURES
        for place_of, letter in enumerate(letters):
            if glyph.outline or not letter.isspace():  # a font may draw something for a space
                start = glyph.advance * place_of / len(letters)
                corners = [apply(place, start + x, y) for x, y in ((0, 0), (1, 0), (0, 1))]
                self._add(
                    "glyph",
                    letter,
                    corners,
                    not stroke or mode == 2,
                    stroke,
                    *(font.name, mode),
                    shape="" if ligature else glyph.outline,
                    content=glyph.outline if ligature else "",
                )

    def _show_parts(self, parts: Any) -> None:
        for part in parts:
            if isinstance(part, pikepdf.String):
                self._show(part)
            else:
                self._advance(-float(part) / 1000 * self._state.size)

    def _advance(self, length: float) -> None:
        move = (1.0, 0.0, 0.0, 1.0, length * self._state.stretch, 0.0)
        self._text = multiply(move, self._text)

    def _show_line(self, text: Any) -> None:
        self._next_line()
        self._show(text)

    def _show_spaced(self, after_space: Any, after_character: Any, text: Any) -> None:
        self._set(after_space=float(after_space), after_character=float(after_character))
        self._show_line(text)
