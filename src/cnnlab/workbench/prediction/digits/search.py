"""Finds the digit in a picture, and whether its strokes are dark or light."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from cnnlab.errors import UserError
from cnnlab.workbench.prediction.digits.box import Box, surrounding
from cnnlab.workbench.prediction.digits.cut import cut_out
from cnnlab.workbench.prediction.digits.ground import (
    SEARCH_SIDES,
    Ground,
    ground_of,
    peak_of,
    smoothed,
    stroke_contrast,
)
from cnnlab.workbench.prediction.digits.measures import Grey, Map
from cnnlab.workbench.prediction.digits.pieces import Piece, belonging_together, pieces_of

# Around a digit, as a share of its longest side: paper enough to tell dark from light strokes.
_WIDE_MARGIN = 0.5
# Grey levels of 255 by which strokes must stand out, and multiples of the noise's standard deviation.
_MIN_CONTRAST, _MIN_CONTRAST_TO_NOISE = 24.0, 20.0
# A digit's longest side, as a share of the picture's.
_MIN_EXTENT = 0.02
_NARROWEST_GROUND = 0.15  # a share of the picture's longest side


@dataclass(frozen=True)
class Strokes:
    """A part of the picture that may be the digit.

    Attributes:
        box: that part.
        ground: what the strokes are told from.
        are_dark: or else light.
        pieces: all that stands out from the picture, shrunk by `factor`.
    """

    box: Box
    ground: Ground
    are_dark: bool
    pieces: list[Piece]
    factor: int


@dataclass(frozen=True)
class ShrunkPicture:
    """A picture that is smaller by a whole factor, and how strong its noise still is."""

    picture: Map
    noise: float
    factor: int

    @classmethod
    def shrink(cls, grey: Grey) -> "ShrunkPicture":
        longest = max(grey.shape)
        factor = int(np.ceil(longest / np.clip(longest / 4, *SEARCH_SIDES)))
        picture, noise = smoothed(np.asarray(Image.fromarray(grey).reduce(factor), dtype=np.float32))
        return cls(picture, noise, factor)

    def light(self, are_dark: bool) -> Map:
        return 255 - self.picture if are_dark else self.picture

    def find(self, are_dark: bool, ground: Ground, shape: tuple[int, ...]) -> Strokes | None:
        contrast = stroke_contrast(self.light(are_dark), ground)
        peak = peak_of(contrast)
        if peak < max(_MIN_CONTRAST, _MIN_CONTRAST_TO_NOISE * self.noise):
            return None
        pieces = pieces_of(contrast, contrast > 0.45 * peak)
        box = surrounding([piece.box for piece in belonging_together(pieces)])
        if all(piece.is_frame for piece in pieces) or box.longest < _MIN_EXTENT * max(contrast.shape):
            return None
        return Strokes(box.scaled(self.factor, shape), ground.scaled(self.factor), are_dark, pieces, self.factor)


def candidates(shrunk: ShrunkPicture, picture: Grey) -> Iterator[Strokes]:
    """Strokes that may be the digit, the most likely first."""
    found = {}
    for are_dark in (True, False):
        strokes = shrunk.find(are_dark, ground_of(shrunk.light(are_dark)), picture.shape)
        if strokes is not None:
            found[are_dark] = strokes
    if not found:
        raise UserError("no digit in it: nothing stands out from the background")
    likely = _has_dark_strokes(cut_out(picture, surrounding([one.box for one in found.values()]), _WIDE_MARGIN).pixels)
    yield found.get(likely) or found[not likely]
    narrow = Ground(_NARROWEST_GROUND * max(shrunk.picture.shape), "nearest")
    if (strokes := shrunk.find(likely, narrow, picture.shape)) is not None:
        yield strokes


def _has_dark_strokes(cut: Map) -> bool:
    """Whether what deviates from the local median, paper for the most part, deviates to the dark.

    The picture is taken to go on beyond its border as it is there: strokes seldom follow the border, paper does.
    """
    factor = int(np.ceil(max(cut.shape) / 48))
    levels = Image.fromarray(cut.astype(np.uint8)).reduce(factor)
    small = np.asarray(levels, dtype=np.float32)
    deviation = small - _local_median(small, int(0.75 * max(small.shape)) | 1)
    return bool((deviation * np.abs(deviation)).sum() < 0)


def _local_median(picture: Map, side: int) -> Map:
    """The median of the square of that side around each pixel, to 1/32 of the range: counted, not sorted."""
    lowest, highest = picture.min(), picture.max()
    levels = np.linspace(lowest, highest, 33, dtype=np.float32)[:-1]
    above = (picture[None] > levels[:, None, None]).astype(np.float32)
    shares = ndimage.uniform_filter(above, (1, side, side), mode="nearest")
    median: Map = lowest + (highest - lowest) * (shares > 0.5).mean(axis=0, dtype=np.float32)
    return median
