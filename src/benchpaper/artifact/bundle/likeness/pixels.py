"""Compares two pictures tile by tile: how many pixels of the worst tile have changed.

A mean over a picture hides what is small: a thin curve covers one pixel in a hundred. And the pixel
at one place says little, because smooth edges differ between versions of a font. So a pixel counts
as changed if its colour occurs nowhere next to its place in the other picture. Where a tile has
changed, it is also compared with the other picture a few pixels further to each side, because
labels that are wider by a hair move all that is next to them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TILE = 24  # pixels
STEP = 48  # of 255: a colour farther than that is another one
Pixels = NDArray[np.int16]


@dataclass(frozen=True)
class Change:
    """What two pictures differ by: pixels of the worst tile, its place, and the share of all."""

    worst: int = 0
    x: int = 0
    y: int = 0
    share: float = 0.0


def read(source: Any) -> Pixels:
    """Return a picture as (height, width, 4) of 0 to 255; `source` is a path or a file."""
    from PIL import Image

    with Image.open(source) as picture:
        return np.asarray(picture.convert("RGBA"), dtype=np.int16)


def change(given: Pixels, made: Pixels, shift: int) -> Change:
    """Compare pictures whose sizes differ by one pixel at most; tiles may lie `shift` off."""
    height, width = (min(a, b) for a, b in zip(given.shape[:2], made.shape[:2], strict=True))
    edges = ((shift, shift + TILE), (shift, shift + TILE), (0, 0))
    one, other = (
        _Picture(np.pad(picture[:height, :width], edges, mode="edge")) for picture in (given, made)
    )
    changed = one.differs(other)
    counts = {
        (top, left): _least(one, other, top, left, shift)
        for top in range(shift, height + shift, TILE)
        for left in range(shift, width + shift, TILE)
        if changed[top : top + TILE, left : left + TILE].any()
    }
    if not counts:
        return Change()
    (top, left), worst = max(counts.items(), key=lambda item: item[1])
    return Change(worst, left - shift, top - shift, sum(counts.values()) / (height * width))


class _Picture:
    """A picture with the least and the greatest colour in the 3 x 3 pixels around each pixel."""

    def __init__(self, pixels: Pixels, bounds: tuple[Pixels, Pixels] | None = None) -> None:
        size = (3, 3, 1)
        self._pixels = pixels
        self._low: Pixels
        self._high: Pixels
        self._low, self._high = bounds or (
            ndimage.minimum_filter(pixels, size) - STEP,
            ndimage.maximum_filter(pixels, size) + STEP,
        )

    def cut(self, top: int, left: int) -> "_Picture":
        """Return the tile at a place; a tile at the lower or right edge is smaller."""
        place = slice(top, top + TILE), slice(left, left + TILE)
        return _Picture(self._pixels[place], (self._low[place], self._high[place]))

    def differs(self, other: "_Picture") -> NDArray[np.bool_]:
        """Return for each pixel whether either colour is outside the other's bounds."""
        lost = (self._pixels < other._low) | (self._pixels > other._high)
        new = (other._pixels < self._low) | (other._pixels > self._high)
        return np.any(lost | new, axis=-1)


def _least(given: _Picture, made: _Picture, top: int, left: int, shift: int) -> int:
    """Return how many pixels of a tile of `given` differ from `made` where it fits best."""
    tile = given.cut(top, left)
    steps = range(-shift, shift + 1)
    places = (made.cut(top + down, left + right) for down in steps for right in steps)
    return min(int(tile.differs(place).sum()) for place in places)
