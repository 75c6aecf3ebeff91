"""Rectangular parts of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels; bottom and right are the first ones outside."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def longest(self) -> int:
        return max(self.height, self.width)

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def widened(self, margin: float, shape: tuple[int, ...]) -> "Box":
        """With a margin in pixels all around, as far as the picture goes."""
        extra = int(np.ceil(margin))
        top, left = max(0, self.top - extra), max(0, self.left - extra)
        return Box(top, left, min(shape[0], self.bottom + extra), min(shape[1], self.right + extra))

    def shifted(self, down: int, right: int) -> "Box":
        return Box(self.top + down, self.left + right, self.bottom + down, self.right + right)

    def scaled(self, factor: float, shape: tuple[int, ...]) -> "Box":
        """In the pixels of a picture that is so many times larger."""
        bottom, right = (int(np.ceil(end * factor)) for end in (self.bottom, self.right))
        return Box(int(self.top * factor), int(self.left * factor), min(shape[0], bottom), min(shape[1], right))


def surrounding(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of them."""
    top, left = (min(getattr(box, side) for box in boxes) for side in ("top", "left"))
    return Box(top, left, max(box.bottom for box in boxes), max(box.right for box in boxes))


def gap(one: Box, other: Box) -> int:
    """Pixels between two boxes, 0 if they touch or overlap."""
    down = max(one.top - other.bottom, other.top - one.bottom)
    across = max(one.left - other.right, other.left - one.right)
    return max(down, across, 0)


def touches(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether the box reaches the border of its picture."""
    return box.top == 0 or box.left == 0 or box.bottom == shape[0] or box.right == shape[1]
