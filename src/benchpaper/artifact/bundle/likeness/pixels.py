"""Compares two pictures tile by tile: how many pixels of the worst tile have changed.

A mean over a picture hides what is small: a thin curve covers one pixel in a hundred. And the pixel
at one place says little, because smooth edges differ between versions of a font. So a pixel counts
as changed if its colour occurs nowhere next to its place in the other picture. Where a tile has
changed, it is also compared with the other picture a few pixels further to each side, because
labels that are wider by a hair move all that is next to them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TILE = 24  # pixels
STEP = 48  # of 255: a colour farther than that is another one
Pixels = NDArray[np.int16]


def read(source: Any) -> Pixels:
    """Return a picture as (height, width, 4) of 0 to 255; `source` is a path or a file."""
    from PIL import Image

    with Image.open(source) as picture:
        return np.asarray(picture.convert("RGBA"), dtype=np.int16)


def difference(given: Pixels, made: Pixels, shift: int, worst: int, share: float) -> str:
    """Return what differs between two pictures whose sizes differ by a pixel at most, or "".

    A tile may lie `shift` pixels off. At most `worst` pixels of a tile may have changed, and this
    `share` of all.
    """
    height, width = (min(a, b) for a, b in zip(given.shape[:2], made.shape[:2], strict=True))
    edges = ((shift, shift + TILE), (shift, shift + TILE), (0, 0))
    shown, other = (
        _Picture(np.pad(picture[:height, :width], edges, mode="edge")) for picture in (given, made)
    )
    tiles = _changed_tiles(shown.differs(other), shift, height, width)
    total = 0
    for _, top, left in sorted(tiles, reverse=True):
        count = _least(shown, other, top, left, shift)
        if count > worst:
            return f"{count} of {TILE**2} pixels differ at ({left - shift}, {top - shift})"
        total += count
    if total > share * height * width:
        return f"{total / (height * width):.2%} of all pixels differ"
    return ""


def _changed_tiles(
    changed: NDArray[np.bool_], shift: int, height: int, width: int
) -> list[tuple[int, int, int]]:
    """Return (changed pixels, top, left) of the tiles that have any."""
    tiles = []
    for top in range(shift, height + shift, TILE):
        for left in range(shift, width + shift, TILE):
            if count := int(changed[top : top + TILE, left : left + TILE].sum()):
                tiles.append((count, top, left))
    return tiles


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
