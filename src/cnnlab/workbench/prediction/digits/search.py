"""Where in a picture the digit is."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cnnlab.errors import UserError
from cnnlab.workbench.prediction.digits.box import Box, around
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
from cnnlab.workbench.prediction.digits.pieces import belonging_together, pieces_of
from cnnlab.workbench.prediction.digits.polarity import has_dark_strokes

# Around a digit, as a share of its longest side: paper enough to tell dark from light strokes.
_WIDE_MARGIN = 0.5
# Grey levels of 255 by which strokes must stand out, and multiples of the noise's standard deviation.
_MIN_CONTRAST, _MIN_CONTRAST_TO_NOISE = 24.0, 20.0
# A digit's longest side, as a share of the picture's.
_MIN_EXTENT = 0.02
_NARROWEST_GROUND = 0.15  # a share of the picture's longest side


@dataclass(frozen=True)
class _Strokes:
    box: Box
    ground: Ground
    are_dark: bool


@dataclass(frozen=True)
class Search:
    """A picture shrunk by a whole factor."""

    picture: Map
    noise: float
    factor: int

    @classmethod
    def of(cls, grey: Grey) -> "Search":
        longest = max(grey.shape)
        factor = int(np.ceil(longest / np.clip(longest / 4, *SEARCH_SIDES)))
        picture, noise = smoothed(np.asarray(Image.fromarray(grey).reduce(factor), dtype=np.float32))
        return cls(picture, noise, factor)

    def light(self, are_dark: bool) -> Map:
        return 255 - self.picture if are_dark else self.picture

    def find(self, are_dark: bool, ground: Ground, shape: tuple[int, ...]) -> _Strokes | None:
        contrast = stroke_contrast(self.light(are_dark), ground)
        peak = peak_of(contrast)
        if peak < max(_MIN_CONTRAST, _MIN_CONTRAST_TO_NOISE * self.noise):
            return None
        pieces = pieces_of(contrast, contrast > 0.45 * peak)
        box = around([piece.box for piece in belonging_together(pieces)])
        if all(piece.is_frame for piece in pieces) or box.longest < _MIN_EXTENT * max(contrast.shape):
            return None
        return _Strokes(box.scaled(self.factor, shape), ground.scaled(self.factor), are_dark)


def candidates(search: Search, picture: Grey) -> Iterator[_Strokes]:
    """Strokes that may be the digit, the most likely first."""
    found = {}
    for are_dark in (True, False):
        strokes = search.find(are_dark, ground_of(search.light(are_dark)), picture.shape)
        if strokes is not None:
            found[are_dark] = strokes
    if not found:
        raise UserError("no digit in it: nothing stands out from the background")
    likely = has_dark_strokes(cut_out(picture, around([one.box for one in found.values()]), _WIDE_MARGIN).pixels)
    yield found.get(likely) or found[not likely]
    narrow = Ground(_NARROWEST_GROUND * max(search.picture.shape), "nearest")
    if (strokes := search.find(likely, narrow, picture.shape)) is not None:
        yield strokes
