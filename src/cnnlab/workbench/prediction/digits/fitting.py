"""Fits ink into MNIST's format: strokes of its width, in its box, centred."""

import numpy as np
from PIL import Image
from scipy import ndimage

from cnnlab.workbench.prediction.digits.cleaning import extent, stroke_width
from cnnlab.workbench.prediction.digits.measures import BOX_SIDE, CENTRE, SIDE, Grey, Map

# Widths of strokes in pixels of the box of 20. Of MNIST's half lie between 2.0 and 2.8, one in a thousand below 1.3
# and one above 5.6.
_THIN, _THICKENED = 1.3, 2.0


def thickened(ink: Map) -> Map:
    """Strokes that would be too thin in the box of 20 pixels, as wide as MNIST's are."""
    longest = extent(ink).longest
    if stroke_width(ink) * BOX_SIDE / longest >= _THIN:
        return ink
    enlarged = _enlarged(ink, int(np.ceil(4 * BOX_SIDE / longest)))
    scale = extent(enlarged).longest / BOX_SIDE
    radius = (_THICKENED * scale - stroke_width(enlarged)) / 2
    padded = np.pad(enlarged, int(np.ceil(radius)) + 1)
    distance = ndimage.distance_transform_edt(padded < 0.4)
    wider: Map = np.maximum(padded, np.clip(radius + 1 - distance, 0, 1)).astype(np.float32)
    return wider


def _enlarged(ink: Map, factor: int) -> Map:
    if factor == 1:
        return ink
    size = (ink.shape[1] * factor, ink.shape[0] * factor)
    enlarged: Map = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC))
    return enlarged.clip(0, 1)


def fitted(ink: Map) -> Map:
    """The digit with a longest side of 20 pixels."""
    box = extent(ink)
    height, width = (max(1, round(BOX_SIDE * length / box.longest)) for length in (box.height, box.width))
    filtering = Image.Resampling.BOX if box.longest >= BOX_SIDE else Image.Resampling.BICUBIC
    resized = Image.fromarray(ink[box.slices]).resize((width, height), filtering)
    fitted: Map = np.asarray(resized)
    return fitted.clip(0, 1)


def centred(fitted: Map) -> Grey:
    """Into 28x28 pixels, the centre of mass as near to pixel 14 as whole pixels allow."""
    height, width = fitted.shape
    middle = ndimage.center_of_mass(fitted)
    top, left = (
        int(np.clip(np.rint(CENTRE - at), 0, SIDE - length)) for at, length in zip(middle, (height, width), strict=True)
    )
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[top : top + height, left : left + width] = np.rint(255 * fitted)
    return pixels
