"""Compares two lists of marks: whether the same is painted, in the same look, at the same place."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchpaper.artifact.bundle.likeness.drawing import Mark
from benchpaper.artifact.bundle.likeness.geometry import Point

COLOUR = 1 / 510  # half of the least step that a screen shows
FRAMED = ("area", "line")  # data; labels and pictures snap to whole points or pixels
Points = Sequence[Point] | NDArray[np.float64]


@dataclass(frozen=True)
class Leeway:
    """How far the same mark may lie apart, in points: on the page, and within its frame."""

    page: float
    frame: float


def difference(given: Sequence[Mark], made: Sequence[Mark], leeway: Leeway) -> str:
    """Return what differs first between the marks of a page, or ""."""
    for mark, other in zip(given, made, strict=False):
        if reason := _reason(mark, other, leeway):
            return f"{mark} {reason}"
    if len(given) != len(made):
        more, whose = (given, "only here") if len(given) > len(made) else (made, "missing")
        return f"{more[min(len(given), len(made))]} is {whose}"
    return ""


def same_content(given: Sequence[Mark], made: Sequence[Mark]) -> bool:
    """Return whether pictures, patterns, and ligatures are the same; `difference` passes them."""
    return all(mark.content == other.content for mark, other in zip(given, made, strict=True))


def _reason(mark: Mark, other: Mark, leeway: Leeway) -> str:
    if mark.look != other.look:
        return f"should be {other}" if str(mark) != str(other) else "looks different"
    if _apart(mark.colours, other.colours) > COLOUR:
        return "has another colour"
    if _apart(mark.lengths, other.lengths) > leeway.page:
        return "has another line width"
    if _apart(mark.clip, other.clip) > leeway.page:
        return "is cut off elsewhere"
    if mark.shape != other.shape and not (
        mark.content != other.content and _are_letters(mark, other)
    ):
        return "has another shape"
    framed = mark.look[0] in FRAMED and _is_wide(mark.frame) and _is_wide(other.frame)
    points = _moved(mark.points, mark.frame, other.frame) if framed else mark.points
    distance = _apart(points, other.points)
    if distance > (leeway.frame if framed else leeway.page):
        return f"is {distance:.2g} pt from its place"
    return ""


def _array(points: Points) -> NDArray[np.float64]:
    return np.asarray(points, dtype=float).reshape(-1, 2)


def _apart(values: ArrayLike, others: ArrayLike) -> float:
    """Return the largest difference; infinity if there are others, or a place is no number."""
    first, second = np.asarray(values, dtype=float), np.asarray(others, dtype=float)
    if first.shape != second.shape:
        return np.inf
    distance = np.abs(first - second).max(initial=0)
    return np.inf if np.isnan(distance) else float(distance)


def _is_wide(frame: Sequence[Point]) -> bool:
    return bool(frame) and bool((np.ptp(_array(frame), axis=0) > 1).all())


def _moved(
    points: Sequence[Point], frame: Sequence[Point], onto: Sequence[Point]
) -> NDArray[np.float64]:
    """Return points after moving and stretching their frame onto another one."""
    start, target = _array(frame), _array(onto)
    factor = np.ptp(target, axis=0) / np.ptp(start, axis=0)
    return (_array(points) - start.min(axis=0)) * factor + target.min(axis=0)


def _are_letters(mark: Mark, other: Mark) -> bool:
    """Return whether these are letters of which one is part of a ligature."""
    return mark.look[0] == "glyph" and not (mark.shape and other.shape)
