"""Several digits beside each other, told from the parts of a single one."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cnnlab.workbench.prediction.digits.box import Box, gap, surrounding
from cnnlab.workbench.prediction.digits.pieces import Piece, is_part_of, without_frames_and_shadows

# What may be a digit of its own: its height as a share of the tallest one's, its ink as a share of the strongest's.
_MIN_HEIGHT, _MIN_INK = 0.5, 0.05
# Specks have less than this share of the ink of the largest piece.
_SPECK = 0.01
# Two digits share no more than this of the narrower one's width, and of the lower one's height at least that.
_MOST_OVERLAP, _LEAST_BESIDE = 0.25, 0.5
# Pieces this near to each other, as a share of the tallest one's height, are parts of one digit if one is above the
# other, or if one is beside the other and both together are no wider than a digit, as a share of their height.
_NEAR_ABOVE, _NEAR_BESIDE, _WIDEST_DIGIT = 0.3, 0.05, 0.9

Group = list[Piece]


def digits_of(pieces: Sequence[Piece]) -> tuple[list[Group], int]:
    """The pieces of each digit in the row of the largest one, from left to right, and how many digits are elsewhere."""
    candidates = without_frames_and_shadows(pieces)
    strokes = [piece for piece in candidates if piece.ink >= _SPECK * candidates[0].ink]
    groups = _joined([[piece] for piece in strokes], max(piece.box.height for piece in strokes))
    tallest, most_ink = max(_box(group).height for group in groups), max(map(_ink, groups))
    large = [g for g in groups if _box(g).height >= _MIN_HEIGHT * tallest and _ink(g) >= _MIN_INK * most_ink]
    first = max(large, key=_ink)
    row = sorted((g for g in large if _are_beside(_box(g), _box(first))), key=lambda group: _box(group).left)
    for group in groups:
        if group not in large:
            near = min(row, key=lambda other: gap(_box(other), _box(group)))
            near += [piece for piece in group if is_part_of(piece, _box(near), _ink(near))]
    return row, len(large) - len(row)


def _joined(groups: list[Group], tallest: int) -> list[Group]:
    """Pieces that are parts of one digit together, where tallest is the height of the tallest piece."""
    for one, other in combinations(groups, 2):
        if _are_parts_of_one(_box(one), _box(other), tallest):
            rest = [group for group in groups if group is not one and group is not other]
            return _joined([one + other, *rest], tallest)
    return groups


def owners(groups: Sequence[Group]) -> NDArray[np.intp]:
    """To which digit each pixel is nearest."""
    labels = groups[0][0].labels
    marked = np.full(labels.shape, -1)
    for number, group in enumerate(groups):
        marked[np.isin(labels, [piece.label for piece in group])] = number
    nearest = ndimage.distance_transform_edt(marked < 0, return_distances=False, return_indices=True)
    owner: NDArray[np.intp] = marked[tuple(nearest)]
    return owner


def _are_beside(one: Box, other: Box) -> bool:
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    return shared >= _LEAST_BESIDE * min(one.height, other.height)


def _are_parts_of_one(one: Box, other: Box, tallest: int) -> bool:
    shared = min(one.right, other.right) - max(one.left, other.left)
    if shared > _MOST_OVERLAP * min(one.width, other.width):
        return gap(one, other) <= _NEAR_ABOVE * tallest
    whole = surrounding([one, other])
    return gap(one, other) <= _NEAR_BESIDE * tallest and whole.width <= _WIDEST_DIGIT * whole.height


def _box(group: Group) -> Box:
    return surrounding([piece.box for piece in group])


def _ink(group: Group) -> float:
    return sum(piece.ink for piece in group)
