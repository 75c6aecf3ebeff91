"""Whether strokes are dark or light."""

import numpy as np
from PIL import Image
from scipy import ndimage

from cnnlab.workbench.prediction.digits.measures import Map


def has_dark_strokes(cut: Map) -> bool:
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
