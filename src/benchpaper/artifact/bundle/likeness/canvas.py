"""The graphics state of a PDF's page, and the marks that paths leave under it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pikepdf

from benchpaper.artifact.bundle.likeness.geometry import (
    IDENTITY,
    Matrix,
    Point,
    apply,
    multiply,
    scale,
)
from benchpaper.artifact.bundle.likeness.pdf_fonts import Font
from benchpaper.artifact.bundle.likeness.pdf_values import UnreadableError, digest

MAX_MARKS = 1_000_000  # of a page
BLACK = {"/DeviceRGB": (0.0, 0.0, 0.0), "/DeviceCMYK": (0.0, 0.0, 0.0, 1.0)}
FRAMES = ("W mlll", "W mlllh", "W* mlll", "W* mlllh")


@dataclass(frozen=True)
class Mark:
    """One thing that is painted.

    `look` is a path's rule, a glyph's text and font, and all else that has no size. `shape` holds
    the letters of the operators that lead through `points`, or the digest of a glyph's outline.
    `points` are on the page, in points (1/72 inch). So are `lengths` (line width, dashes), and
    `clip` and `frame`: all corners that cut the mark off, and those of the last rectangle among
    them, such as a diagram's axes. `colours` are components and opacities, from 0 to 1. `content`
    holds digests of pictures and patterns, and of the outlines of ligatures: programs draw these
    otherwise for another place, or not at all.
    """

    look: tuple[Any, ...]
    points: tuple[Point, ...]
    shape: str = ""
    colours: tuple[float, ...] = ()
    lengths: tuple[float, ...] = ()
    clip: tuple[Point, ...] = ()
    frame: tuple[Point, ...] = ()
    content: tuple[str, ...] = ()

    def __str__(self) -> str:
        x, y = self.points[0] if self.points else (0.0, 0.0)
        text = f" {self.look[1]!r}" if self.look[0] == "glyph" else ""
        return f"{self.look[0]}{text} at ({x:.1f}, {y:.1f})"


@dataclass(frozen=True)
class Paint:
    """What fills or strokes: a colour space with components, or a pattern's digest."""

    space: str = "/DeviceGray"
    components: tuple[float, ...] = (0.0,)
    opacity: float = 1.0
    pattern: str = ""


@dataclass(frozen=True)
class State:
    """The graphics state that `q` saves and `Q` restores."""

    matrix: Matrix = IDENTITY
    fill: Paint = Paint()
    stroke: Paint = Paint()
    width: float = 1.0
    ends: tuple[float, float, float] = (0.0, 0.0, 10.0)  # cap, join, limit of miters
    dash: tuple[float, ...] = ()
    effects: tuple[tuple[str, str], ...] = ()  # blend mode, soft mask
    clip: tuple[tuple[str, tuple[Point, ...]], ...] = ()
    font: Font | None = None
    size: float = 0.0
    after_character: float = 0.0
    after_space: float = 0.0
    stretch: float = 1.0
    leading: float = 0.0
    rise: float = 0.0
    mode: int = 0  # of text: 3 is invisible


class Canvas:
    """Collects marks; each method that operators call takes their operands."""

    def __init__(self, resources: Any, page: tuple[Point, Point], fonts: dict[Any, Font]) -> None:
        self.marks: list[Mark] = []
        self._fonts = fonts  # those that were read before
        self._page = page  # lower left and upper right corner
        self._resources = resources
        self._state = State()
        self._saved: list[State] = []
        self._path: list[Point] = []
        self._shape = ""
        self._clips = ""
        self._content: list[str] = []  # of marked content

    def _set(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)

    def _add(
        self,
        kind: str,
        what: str,
        points: Iterable[Point],
        fill: bool,
        stroke: bool,
        *look: Any,
        shape: str = "",
        content: str = "",
    ) -> None:
        """Add a mark with the parts of the state that show."""
        state = self._state
        paints = [paint for paint, used in ((state.fill, fill), (state.stroke, stroke)) if used]
        unit = scale(state.matrix)
        clips = tuple(cut for cut, _ in state.clip)
        frames = [points for cut, points in state.clip if cut in FRAMES]
        spaces = tuple(paint.space for paint in paints)
        more = (state.ends if stroke else (), state.effects, clips, tuple(self._content), *look)
        lengths = (state.width, *state.dash) if stroke else ()
        self.marks.append(
            Mark(
                (kind, what, spaces, *more),
                tuple(points),
                shape,
                tuple(x for paint in paints for x in (*paint.components, paint.opacity)),
                tuple(length * unit for length in lengths),
                tuple(point for _, points in state.clip for point in points),
                frames[-1] if frames else (),
                (content, *(paint.pattern for paint in paints)),
            )
        )
        if len(self.marks) > MAX_MARKS:
            raise UnreadableError(f"more than {MAX_MARKS:,} marks on a page")

    def _save(self) -> None:
        self._saved.append(self._state)

    def _restore(self) -> None:
        if self._saved:
            self._state = self._saved.pop()

    def _transform(self, *numbers: Any) -> None:
        self._set(matrix=multiply(to_matrix(numbers), self._state.matrix))

    def _parameters(self, name: Any) -> None:
        """Apply an ExtGState dictionary."""
        for key, value in self._resources.ExtGState[str(name)].items():
            if key == "/ca":
                self._set(fill=replace(self._state.fill, opacity=float(value)))
            elif key == "/CA":
                self._set(stroke=replace(self._state.stroke, opacity=float(value)))
            elif key == "/LW":
                self._set(width=float(value))
            elif key == "/D":
                self._dash(*value)
            elif key == "/Font":
                self._set(font=self._font_of(value[0]), size=float(value[1]))
            elif key not in ("/Type", "/SA"):
                self._set(effects=tuple(sorted({*self._state.effects, (key, digest(value))})))

    def _font_of(self, resource: Any) -> Font:
        """Return a font with what was read of it before."""
        key = resource.objgen if resource.is_indirect else id(resource)
        return self._fonts.setdefault(key, Font(resource))

    def _dash(self, lengths: Any, phase: Any) -> None:
        self._set(dash=(*map(float, lengths), float(phase)) if len(lengths) else ())

    def _end(self, place: int, value: Any) -> None:
        ends = list(self._state.ends)
        ends[place] = float(value)
        self._set(ends=tuple(ends))

    def _colour(self, name: str, space: str, components: Iterable[Any], pattern: str = "") -> None:
        paint = getattr(self._state, name)
        numbers = tuple(float(x) for x in components)
        self._set(**{name: replace(paint, space=space, components=numbers, pattern=pattern)})

    def _space(self, name: str, space: Any) -> None:
        """Choose a colour space; its first colour is black in those that we meet."""
        own = self._resources.get("/ColorSpace", {}).get(str(space))
        self._colour(
            name, str(space) if own is None else digest(own), BLACK.get(str(space), (0.0,))
        )

    def _components(self, name: str, *words: Any) -> None:
        space = getattr(self._state, name).space
        if words and isinstance(words[-1], pikepdf.Name):
            pattern = self._resources.Pattern[str(words[-1])]
            self._colour(name, "pattern", words[:-1], digest(pattern))
        else:
            self._colour(name, space, words)

    def _begin_content(self, tag: Any, properties: Any = None) -> None:
        """Note marked content: a reader may hide what is optional."""
        if isinstance(properties, pikepdf.Name):
            properties = self._resources.Properties[str(properties)]
        optional = str(tag) == "/OC"
        self._content.append(digest(properties) if optional else "")

    def _end_content(self) -> None:
        if self._content:
            self._content.pop()

    def _add_points(self, shape: str, *numbers: Any) -> None:
        self._shape += shape
        xs, ys = map(float, numbers[::2]), map(float, numbers[1::2])
        self._path += [apply(self._state.matrix, x, y) for x, y in zip(xs, ys, strict=True)]

    def _rectangle(self, *numbers: Any) -> None:
        x, y, width, height = map(float, numbers)
        corners = (x, y), (x + width, y), (x + width, y + height), (x, y + height)
        self._add_points("mlllh", *(number for corner in corners for number in corner))

    def _clip_with(self, rule: str) -> None:
        self._clips = rule

    def _paint(self, close: bool, fill: str, stroke: bool) -> None:
        shape = self._shape + ("h" if close else "")
        if fill or stroke:
            kind = "area" if fill else "line"
            self._add(kind, fill, self._path, bool(fill), stroke, shape=shape)
        if self._clips and not self._surrounds_page(shape):
            self._set(clip=(*self._state.clip, (f"{self._clips} {shape}", tuple(self._path))))
        self._path, self._shape, self._clips = [], "", ""

    def _surrounds_page(self, shape: str) -> bool:
        """Return whether the path is a rectangle that cuts nothing off."""
        (left, bottom), (right, top) = self._page
        xs, ys = ([point[i] for point in self._path] for i in (0, 1))
        return (
            shape.rstrip("h") == "mlll"
            and set(xs) == {min(xs), max(xs)}
            and set(ys) == {min(ys), max(ys)}
            and min(xs) <= left <= right <= max(xs)
            and min(ys) <= bottom <= top <= max(ys)
        )


def to_matrix(numbers: Iterable[Any]) -> Matrix:
    a, b, c, d, e, f = map(float, numbers)
    return a, b, c, d, e, f
