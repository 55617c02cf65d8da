"""Measures the text of a figure as it is printed: its smallest size, and texts on each other."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from math import hypot
from pathlib import Path
from typing import Any, NamedTuple

from benchpaper.core import extras
from benchpaper.paper.latex import WORK

MIN_POINTS = 7.0
ROUNDING = 0.05  # points
EXPONENT = 0.7  # an exponent's size over that of its base, in formulas
EXACTLY = 0.005
SLACK = 0.5  # points that a word may reach beyond the edge: its box is larger than its ink
MAX_OVERLAP = 0.25  # of the smaller text's area
SCALED = re.compile(r"^benchpaper: (\S+) shrunk from ([\d.]+)pt to ([\d.]+)pt$", re.M)
PAGE = re.compile(r'<page width="([\d.]+)"')
WORD = re.compile(
    r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>'
)
Matrix = tuple[float, float, float, float]


class Word(NamedTuple):
    """A word of a page, and its box in points."""

    left: float
    top: float
    right: float
    bottom: float
    text: str


def scales(build: Path) -> dict[str, float]:
    """Return {exhibit: the factor by which LaTeX shrank it to fit}, from the logs of a build."""
    logs = (path.read_text(errors="replace") for path in sorted((build / WORK).glob("*.log")))
    return {
        name: float(after) / float(before)
        for log in logs
        for name, before, after in SCALED.findall(log)
    }


def problems(path: Path, scale: float) -> Iterator[str]:
    """Yield what is wrong with the text of a figure that is printed at `scale`."""
    printed = sorted(size * scale for size in sizes(path))
    bases = [size for size in printed if size >= MIN_POINTS - ROUNDING]
    small = [
        size
        for size in printed
        if size < MIN_POINTS - ROUNDING
        and not any(abs(size / base - EXPONENT) < EXACTLY for base in bases)
    ]
    if small:
        yield f"text of {small[0]:.1f} pt in print; draw it larger, at least {MIN_POINTS:g} pt"
    for word in cut_off(path):
        yield f'"{word.text}" is cut off at the edge; make room for it'
    for word, other in overlaps(path):
        yield f'"{word.text}" and "{other.text}" lie on each other; move one'


def sizes(path: Path) -> set[float]:
    """Return the sizes of the text in the first page of a PDF, in points."""
    extras.require("bundle", "the check of figures")
    import pikepdf

    with pikepdf.open(path) as pdf:
        return {round(size, 2) for size in _sizes(pdf.pages[0], (1.0, 0.0, 0.0, 1.0), 0)}


def _sizes(page: Any, outer: Matrix, depth: int) -> Iterator[float]:
    """Yield the size of each text that a page or form shows."""
    import pikepdf

    matrix, stack, font, text = outer, list[Matrix](), 0.0, (1.0, 0.0, 0.0, 1.0)
    for instruction in pikepdf.parse_content_stream(page):
        operands, operator = instruction.operands, str(instruction.operator)
        if operator == "q":
            stack.append(matrix)
        elif operator == "Q" and stack:
            matrix = stack.pop()
        elif operator == "cm":
            matrix = _times(_matrix(operands), matrix)
        elif operator == "BT":
            text = (1.0, 0.0, 0.0, 1.0)
        elif operator == "Tf":
            font = abs(float(operands[1]))
        elif operator == "Tm":
            text = _matrix(operands)
        elif operator in ("Tj", "TJ", "'", '"'):
            _, _, across, up = _times(text, matrix)
            yield font * hypot(across, up)
        elif operator == "Do" and depth < 4:
            objects = page.get("/Resources", {}).get("/XObject", {})
            form = objects.get(str(operands[0]))
            if form is not None and form.get("/Subtype") == "/Form":
                inner = _times(_matrix(form.get("/Matrix", [1, 0, 0, 1])), matrix)
                yield from _sizes(form, inner, depth + 1)


def _matrix(operands: Any) -> Matrix:
    a, b, c, d = (float(value) for value in list(operands)[:4])
    return a, b, c, d


def _times(inner: Matrix, outer: Matrix) -> Matrix:
    a, b, c, d = inner
    p, q, r, s = outer
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s


def overlaps(path: Path) -> list[tuple[Word, Word]]:
    """Return the pairs of words that lie on each other; empty without pdftotext."""
    words = _words(path)[1]
    return [pair for pair in combinations(words, 2) if _shared(*pair) > MAX_OVERLAP]


def cut_off(path: Path) -> list[Word]:
    """Return the words that reach beyond the page at a side; empty without pdftotext."""
    width, words = _words(path)
    return [word for word in words if word.left < -SLACK or word.right > width + SLACK]


def _words(path: Path) -> tuple[float, list[Word]]:
    """Return the width of a page, and its words."""
    if not shutil.which("pdftotext"):
        return 0.0, []
    done = subprocess.run(["pdftotext", "-bbox", path, "-"], capture_output=True, text=True)
    width = PAGE.search(done.stdout)
    return float(width[1]) if width else 0.0, [
        Word(float(left), float(top), float(right), float(bottom), text)
        for left, top, right, bottom, text in WORD.findall(done.stdout)
    ]


def _shared(word: Word, other: Word) -> float:
    """Return the area that two boxes share, as a part of the smaller one."""
    width = min(word.right, other.right) - max(word.left, other.left)
    height = min(word.bottom, other.bottom) - max(word.top, other.top)
    smaller = min((each.right - each.left) * (each.bottom - each.top) for each in (word, other))
    return width * height / smaller if width > 0 and height > 0 and smaller > 0 else 0.0
