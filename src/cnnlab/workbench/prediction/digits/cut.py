"""Cuts a digit out of its picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnlab.workbench.prediction.digits.box import Box
from cnnlab.workbench.prediction.digits.measures import Grey, Map

_CLEANING_SIDE = 112  # pixels, of the digit's longest side


@dataclass(frozen=True)
class Cutout:
    """A part of a picture, shrunk."""

    pixels: Map
    part: Box
    scale: float

    def light(self, are_dark: bool) -> Map:
        return 255 - self.pixels if are_dark else self.pixels

    def same_part(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of a mask of the whole picture, or a larger one, what was cut out here."""
        height, width = self.pixels.shape
        cut = Image.fromarray(mask[self.part.slices]).resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(cut)

    def to_picture(self, box: Box) -> Box:
        size = (self.part.height, self.part.width)
        return box.scaled(1 / self.scale, size).shifted(self.part.top, self.part.left)


def cut_out(grey: Grey, box: Box, margin: float) -> Cutout:
    """The digit with a margin, no larger than cleaning needs."""
    part = box.widened(margin * box.longest, grey.shape)
    pixels = grey[part.slices]
    scale = min(1.0, _CLEANING_SIDE / box.longest)
    if scale < 1.0:
        width, height = (max(1, round(scale * length)) for length in (part.width, part.height))
        smaller = Image.fromarray(pixels).resize((width, height), Image.Resampling.HAMMING, reducing_gap=2.0)
        pixels = np.asarray(smaller)
    return Cutout(pixels.astype(np.float32), part, scale)
