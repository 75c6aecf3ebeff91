"""Turns strokes of a mouse, pen or finger into a picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 280
# Of a stroke, as a share of the canvas: a digit that fills two thirds of it comes out as thick as MNIST's digits are.
WIDTH = 0.06

Stroke = Sequence[Sequence[float]]


def rasterise(strokes: Sequence[Stroke], width: float = WIDTH) -> NDArray[np.uint8]:
    """Strokes of 255 on 0 with round ends, (1, 280, 280).

    Args:
        strokes: points (x, y) from 0 to 1, y downwards.
        width: of the strokes, as a share of the canvas.
    """
    picture = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(picture)
    for stroke in strokes:
        points = [(x * SIDE, y * SIDE) for x, y in stroke]
        pen.line(points, fill=255, width=round(width * SIDE))
        for point in points:
            pen.circle(point, width * SIDE / 2, fill=255)
    return np.asarray(picture)[None]
