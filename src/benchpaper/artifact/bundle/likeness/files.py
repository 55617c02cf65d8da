"""Compares two files of an exhibit by their kind.

As a program it compares all files of two folders, in a process of its own because they are
foreign: `python -m benchpaper.artifact.bundle.likeness.files same|other FOLDER`, where FOLDER holds
`given` and `made`. It prints {name: what differs, or ""} as JSON.
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchpaper.artifact.bundle.likeness import drawing, marks, pixels

DPI = 200  # of rendered pages, as of the figures' PNGs


@dataclass(frozen=True)
class Leeway:
    """What two files may differ by: see `likeness`."""

    marks: marks.Leeway
    shift: int  # of a tile, in pixels
    worst: int  # changed pixels of a tile
    share: float  # of all pixels


SAME = Leeway(marks.Leeway(page=0.01, frame=0.01), shift=0, worst=4, share=0.0005)
OTHER = Leeway(marks.Leeway(page=1.5, frame=0.05), shift=6, worst=20, share=0.003)
LEEWAYS = {"same": SAME, "other": OTHER}


def difference(given: Path, made: Path, leeway: Leeway) -> str:
    """Return what differs, or "" if both files show the same."""
    if given.read_bytes() == made.read_bytes():
        return ""
    compare = BY_ENDING.get(given.suffix, _texts)
    return compare(given, made, leeway)


def _pdfs(given: Path, made: Path, leeway: Leeway) -> str:
    try:
        expected = drawing.pages(made)
    except drawing.UnreadableError:
        return _rendered(given, made, leeway)  # it draws with what has no marks
    try:
        drawn = drawing.pages(given)
    except drawing.UnreadableError as error:
        return f"cannot be read: {error}"
    if len(drawn) != len(expected):
        return f"has {len(drawn) - 1} pages instead of {len(expected) - 1}"
    for number, (page, other) in enumerate(zip(drawn, expected, strict=True)):
        if reason := marks.difference(page, other, leeway.marks):
            return f"page {number}: {reason}"
    if not all(map(marks.same_content, drawn, expected)):
        return _rendered(given, made, leeway)
    return ""


def _rendered(given: Path, made: Path, leeway: Leeway) -> str:
    with tempfile.TemporaryDirectory() as folder:
        sides = [_render(path, Path(folder) / name) for path, name in ((given, "a"), (made, "b"))]
        if len(sides[0]) != len(sides[1]):
            return f"has {len(sides[0])} pages instead of {len(sides[1])}"
        for number, (page, other) in enumerate(zip(*sides, strict=True), 1):
            if reason := _pictures(page, other, leeway):
                return f"page {number}: {reason}"
    return ""


def _render(path: Path, folder: Path) -> list[Path]:
    """Draw each page of a PDF, and return the pictures; raise `UnreadableError`."""
    if not shutil.which("pdftoppm"):
        raise drawing.UnreadableError("to draw it takes pdftoppm, of the package poppler-utils")
    folder.mkdir()
    command = ["pdftoppm", "-r", str(DPI), "-png", str(path), str(folder / "page")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    drawn = sorted(folder.iterdir())
    if done.returncode or not drawn:
        raise drawing.UnreadableError("it cannot be drawn")
    return drawn


def _pictures(given: Any, made: Any, leeway: Leeway) -> str:
    try:
        picture, other = pixels.read(given), pixels.read(made)
    except (OSError, ValueError, SyntaxError) as error:
        return f"is no readable picture: {error}"
    if any(abs(a - b) > 1 for a, b in zip(picture.shape, other.shape, strict=True)):
        return "has another size"
    return pixels.difference(picture, other, leeway.shift, leeway.worst, leeway.share)


def _notebooks(given: Path, made: Path, leeway: Leeway) -> str:
    """Compare executed notebooks: their pictures as pictures, all else exactly."""
    sides = []
    for path in (given, made):
        pictures: list[bytes] = []
        try:
            content = _without_pictures(json.loads(path.read_bytes()), pictures)
        except (ValueError, TypeError, RecursionError) as error:
            return f"is no readable notebook: {error}"
        sides.append((content, pictures))
    (text, pictures), (other_text, others) = sides
    if text != other_text or len(pictures) != len(others):
        return "has other text"
    for number, (picture, other) in enumerate(zip(pictures, others, strict=True), 1):
        if picture != other and (
            reason := _pictures(io.BytesIO(picture), io.BytesIO(other), leeway)
        ):
            return f"picture {number}: {reason}"
    return ""


def _without_pictures(item: Any, pictures: list[bytes]) -> Any:
    """Return JSON with each PNG replaced by its number in `pictures`, to which it is added."""
    if isinstance(item, list):
        return [_without_pictures(part, pictures) for part in item]
    if not isinstance(item, dict):
        return item
    rest = {}
    for name, value in item.items():
        if name == "image/png" and isinstance(value, str):
            pictures.append(b64decode(value))
            value = len(pictures)
        rest[name] = _without_pictures(value, pictures)
    return rest


def _texts(given: Path, made: Path, leeway: Leeway) -> str:
    lines, others = (path.read_bytes().splitlines() for path in (given, made))
    pairs = enumerate(zip(lines, others, strict=False), 1)
    line = next((number for number, (a, b) in pairs if a != b), min(len(lines), len(others)) + 1)
    return f"line {line} differs"


BY_ENDING: dict[str, Callable[[Path, Path, Leeway], str]] = {
    ".pdf": _pdfs,
    ".png": _pictures,
    ".ipynb": _notebooks,
}


def _main(leeway: str, folder: str) -> None:
    given, made = Path(folder, "given"), Path(folder, "made")
    names = sorted(str(path.relative_to(given)) for path in given.rglob("*") if path.is_file())
    print(json.dumps({name: _safely(given / name, made / name, LEEWAYS[leeway]) for name in names}))


def _safely(given: Path, made: Path, leeway: Leeway) -> str:
    try:
        return difference(given, made, leeway)
    except drawing.UnreadableError as error:
        return f"cannot be compared: {error}"
    except Exception as error:  # of any kind, from parsers of files that are made to break them
        return f"cannot be compared ({type(error).__name__})"


if __name__ == "__main__":
    _main(*sys.argv[1:])
