"""What a PDF draws: for each page the list of its marks, in the order in which they are painted.

A mark is a path, a glyph, or a picture, with its place on the page and its look. Files that draw
the same with other object numbers, compression, names of resources, form XObjects, or runs of text
have the same marks.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pikepdf

from benchpaper.artifact.bundle.likeness.canvas import Mark
from benchpaper.artifact.bundle.likeness.geometry import IDENTITY, apply
from benchpaper.artifact.bundle.likeness.pdf_fonts import Font
from benchpaper.artifact.bundle.likeness.pdf_values import UnreadableError, digest
from benchpaper.artifact.bundle.likeness.text import TextCanvas

MAX_DEPTH = 12  # of form XObjects inside each other
SHOWING = ("/AcroForm", "/OCProperties")  # of the catalogue: what decides over what is shown
FORM_DETAILS = ("/Group", "/OC")
PAINTING = {  # operator: (close the path, fill it by this rule, stroke it)
    "f": (False, "fill", False),
    "F": (False, "fill", False),
    "f*": (False, "even", False),
    "S": (False, "", True),
    "s": (True, "", True),
    "n": (False, "", False),
    "B": (False, "fill", True),
    "B*": (False, "even", True),
    "b": (True, "fill", True),
    "b*": (True, "even", True),
}
SPACES = {"g": "/DeviceGray", "rg": "/DeviceRGB", "k": "/DeviceCMYK"}
SEEN_NOWHERE = {"i", "ri", "MP", "DP"}  # flatness, intent, and marks of places


def pages(path: Any) -> list[list[Mark]]:
    """Return the marks of each page; raise `UnreadableError`."""
    try:
        with pikepdf.open(path) as pdf:
            extra = {name: pdf.Root[name] for name in SHOWING if name in pdf.Root}
            document = Mark(("document", digest(extra)), ())
            fonts: dict[Any, Font] = {}
            return [[document], *(_Painter(page, fonts).marks for page in pdf.pages)]
    except UnreadableError:
        raise
    except (pikepdf.PdfError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise UnreadableError(" ".join(str(error).split())) from None
    except (AttributeError, RecursionError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from None


class _Painter(TextCanvas):
    """Carries out the operators of one page."""

    def __init__(self, page: Any, fonts: dict[Any, Font]) -> None:
        left, bottom, right, top = (float(x) for x in page.mediabox)
        corners = (left, bottom), (right, top)
        super().__init__(page.obj.get("/Resources", pikepdf.Dictionary()), corners, fonts)
        self._depth = 0
        shown = [float(x) for x in page.cropbox]
        entries = [page.obj.get(name, 0) for name in ("/Rotate", "/UserUnit", "/Group")]
        look = ("page", digest(entries))
        self.marks.append(Mark(look, (*corners, (shown[0], shown[1]), (shown[2], shown[3]))))
        self._run(pikepdf.parse_content_stream(page))
        for annotation in page.obj.get("/Annots", []):
            self._annotate(annotation)

    def _annotate(self, annotation: Any) -> None:
        """Add a link, a note, or a field, with all that it has but its place."""
        place = [float(x) for x in annotation.get("/Rect", [])]
        rest = {name: annotation[name] for name in sorted(annotation.keys()) if name != "/Rect"}
        look = ("annotation", str(annotation.get("/Subtype")), digest(rest))
        self.marks.append(Mark(look, tuple(zip(place[::2], place[1::2], strict=True))))

    def _run(self, instructions: Iterable[Any]) -> None:
        for instruction in instructions:
            if isinstance(instruction, pikepdf.ContentStreamInlineImage):
                self._picture("image", digest(instruction.iimage.obj))
                continue
            name, words = str(instruction.operator), list(instruction.operands)
            if name in PAINTING:
                self._paint(*PAINTING[name])
            elif act := OPERATORS.get(name):
                act(self, *words)
            elif name not in SEEN_NOWHERE:
                raise UnreadableError(f'operator "{name}"')

    def _picture(self, kind: str, content: str) -> None:
        corners = [apply(self._state.matrix, x, y) for x, y in ((0, 0), (1, 0), (0, 1))]
        self._add("picture", kind, corners, True, False, content=content)

    def _shade(self, name: Any) -> None:
        self._picture("shading", digest(self._resources.Shading[str(name)]))

    def _object(self, name: Any) -> None:
        item = self._resources.XObject[str(name)]
        if str(item.Subtype) == "/Form":
            self._form(item)
        else:
            self._picture("image", digest(item))

    def _form(self, form: Any) -> None:
        if self._depth == MAX_DEPTH:
            raise UnreadableError(f"more than {MAX_DEPTH} forms inside each other")
        state, saved, outer = self._state, self._saved, self._resources
        line, text = self._line, self._text
        self._depth, self._saved = self._depth + 1, []
        self._resources = form.get("/Resources", outer)
        self._transform(*form.get("/Matrix", IDENTITY))
        details = [(key, digest(form[key])) for key in FORM_DETAILS if key in form]
        self._set(effects=(*self._state.effects, *details))
        x, y, right, top = map(float, form.BBox)
        self._rectangle(x, y, right - x, top - y)
        self._clips = "form"
        self._paint(False, "", False)
        self._run(pikepdf.parse_content_stream(form))
        self._depth, self._saved = self._depth - 1, saved
        self._state, self._resources = state, outer
        self._line, self._text = line, text


Act = Callable[..., None]
OPERATORS: dict[str, Act] = {
    "q": _Painter._save,
    "Q": _Painter._restore,
    "cm": _Painter._transform,
    "gs": _Painter._parameters,
    "d": _Painter._dash,
    "w": lambda self, width: self._set(width=float(width)),
    **{
        name: lambda self, value, place=place: self._end(place, value)
        for place, name in enumerate("JjM")
    },
    **{
        name: lambda self, *words, name=name: self._colour("fill", SPACES[name], words)
        for name in SPACES
    },
    **{
        name.upper(): lambda self, *words, name=name: self._colour("stroke", SPACES[name], words)
        for name in SPACES
    },
    "cs": lambda self, space: self._space("fill", space),
    "CS": lambda self, space: self._space("stroke", space),
    **dict.fromkeys(("sc", "scn"), lambda self, *words: self._components("fill", *words)),
    **dict.fromkeys(("SC", "SCN"), lambda self, *words: self._components("stroke", *words)),
    **{
        shape: lambda self, *words, shape=shape: self._add_points(shape, *words)
        for shape in "mlcvyh"
    },
    "re": _Painter._rectangle,
    "W": lambda self: self._clip_with("W"),
    "W*": lambda self: self._clip_with("W*"),
    "BT": _Painter._begin_text,
    "ET": lambda self: None,
    "Tf": _Painter._font,
    "Td": _Painter._move,
    "TD": _Painter._move_and_lead,
    "Tm": _Painter._text_matrix,
    "T*": _Painter._next_line,
    "Tj": _Painter._show,
    "TJ": _Painter._show_parts,
    "'": _Painter._show_line,
    '"': _Painter._show_spaced,
    "Tc": lambda self, value: self._set(after_character=float(value)),
    "Tw": lambda self, value: self._set(after_space=float(value)),
    "Tz": lambda self, value: self._set(stretch=float(value) / 100),
    "TL": lambda self, value: self._set(leading=float(value)),
    "Ts": lambda self, value: self._set(rise=float(value)),
    "Tr": lambda self, value: self._set(mode=int(value)),
    "Do": _Painter._object,
    "sh": _Painter._shade,
    "BMC": _Painter._begin_content,
    "BDC": _Painter._begin_content,
    "EMC": _Painter._end_content,
}
