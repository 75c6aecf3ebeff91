"""The paper below the strokes, which may be lit unevenly, and the contrast of strokes with it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from cnnlab.workbench.prediction.digits.box import Box
from cnnlab.workbench.prediction.digits.measures import SIDE, Map

# Longest side, in pixels, that a picture in which a digit is looked for is shrunk to at least and at most.
SEARCH_SIDES = (200, 512)
_NEGLIGIBLE_NOISE = 0.5
_DARKEST_PAPER = 64.0
# The contrast of a picture is what so many pixels reach: the highest alone may be a speck.
_NUM_PEAK = 8
# Widths of strokes as a share of the picture, and of the squares that tell strokes that wide from the ground.
_STROKES_AND_GROUNDS = ((0.1, 0.22), (0.16, 0.35))
_WIDEST_GROUND = 0.5


@dataclass(frozen=True)
class Ground:
    """The paper below the strokes: all that is wider than a square of this side, in pixels.

    Attributes:
        mode: what lies beyond the border: "nearest" what is there, so that shadows go on and strokes along the border
            are lost; "constant" nothing, so that they are kept, and so are the tips of shadows.
    """

    side: float
    mode: str

    def scaled(self, factor: float) -> "Ground":
        return Ground(self.side * factor, self.mode)

    def within(self, box: Box) -> "Ground":
        """No larger than three quarters of the digit."""
        return Ground(min(self.side, 0.75 * box.longest), self.mode)


def ground_of(light: Map) -> Ground:
    """The smallest ground that light strokes are not part of, where there is one: it leaves shadows out as well.

    Grounds of growing squares lose the edges of strokes once the squares are wider than they. Where a ground twice as
    wide loses no more, the strokes are gone, and what is left are edges of something else.
    """
    factor = int(np.ceil(max(light.shape) / (100 if max(light.shape) <= SEARCH_SIDES[0] else 256)))
    coarse = np.asarray(Image.fromarray(light).reduce(factor))
    longest = max(coarse.shape)
    energy = _edge_energy(coarse)

    def lost(share: float, mode: str) -> float:
        return energy - _edge_energy(level_of(coarse, Ground(share * longest, mode)))

    for stroke, share in _STROKES_AND_GROUNDS:
        wide = lost(share, "nearest")
        if wide <= 1.1 * lost(stroke, "nearest"):
            has_strokes_along_border = lost(share, "constant") > 1.2 * wide
            return Ground(share * max(light.shape), "constant" if has_strokes_along_border else "nearest")
    return Ground(_WIDEST_GROUND * max(light.shape), "constant")


def level_of(light: Map, ground: Ground) -> Map:
    """An opening: it levels all that is light and holds no such square, but leaves straight edges where they are."""
    sides = [min(max(3, round(ground.side)), length) for length in light.shape]
    lowest = ndimage.minimum_filter(light, sides, mode=ground.mode, cval=0.0)
    origins = [length % 2 - 1 for length in sides]  # an even filter has no middle: the mirrored one
    opened: Map = ndimage.maximum_filter(lowest, sides, mode=ground.mode, cval=0.0, origin=origins)
    return opened


def _edge_energy(picture: Map) -> float:
    return sum(float(np.square(np.diff(picture, axis=axis)).sum()) for axis in (0, 1))


def stroke_contrast(light: Map, ground: Ground) -> Map:
    """By how much of 255 light strokes stand out from their ground, which may be lit unevenly.

    Of an inverted picture of ink on paper this is the share of light that the ink swallows, in a shadow or outside.
    """
    level = level_of(light, ground)
    contrast: Map = (light - level) * (255.0 / np.maximum(255.0 - level, _DARKEST_PAPER))
    return contrast


def peak_of(contrast: Map) -> float:
    rank = max(contrast.size - _NUM_PEAK, 0)
    return float(np.partition(contrast, rank, axis=None)[rank])


def smoothed(picture: Map) -> tuple[Map, float]:
    """A picture with less noise, and the standard deviation of what noise is left."""
    noise = _noise(picture)
    if noise < _NEGLIGIBLE_NOISE or max(picture.shape) < 2 * SIDE:
        return picture, noise
    return ndimage.gaussian_filter(picture, 1.0), 0.28 * noise  # 1 / (2 sqrt(pi)) of what is independent is left


def _noise(picture: Map) -> float:
    """Standard deviation of the noise, from what differs from a plane in 3x3 pixels (Immerkær 1996)."""
    curved = np.diff(np.diff(picture, 2, axis=0), 2, axis=1)
    return float(np.median(np.abs(curved))) / (6 * 0.6745) if curved.size else 0.0
