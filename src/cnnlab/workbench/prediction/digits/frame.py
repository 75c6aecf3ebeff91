"""Finds a frame around a picture, and leaves it out."""

import numpy as np

from cnnlab.workbench.prediction.digits.box import Box
from cnnlab.workbench.prediction.digits.measures import Grey

# Grey levels within which a frame stays, and by which it differs from what is inside.
_FRAME_SPREAD, _FRAME_STEP = 40, 60


def inside_frame(grey: Grey) -> Box:
    """The picture without a border of one colour on three sides at least."""
    height, width = grey.shape
    top, bottom, left, right = (_frame_width(side) for side in (grey, grey[::-1], grey.T, grey.T[::-1]))
    if sum(thickness > 0 for thickness in (top, bottom, left, right)) < 3:
        return Box(0, 0, height, width)
    return Box(top, left, height - bottom, width - right)


def _frame_width(grey: Grey) -> int:
    """Rows from the top on that are alike all along, and unlike those below."""
    rows = np.sort(grey[: len(grey) // 4 + 1, :: max(1, grey.shape[1] // 100)].astype(np.int32), axis=1)
    last = rows.shape[1] - 1
    low, middle, high = (rows[:, round(share * last)] for share in (0.03, 0.5, 0.97))
    inner = np.flatnonzero(np.abs(middle - middle[0]) > _FRAME_STEP)
    if not inner.size:
        return 0
    width = int(inner[0])
    is_even = (high - low)[: max(1, width - 1)].max() < _FRAME_SPREAD
    return width + 1 if is_even else 0  # one row more: its edge may be blurred
