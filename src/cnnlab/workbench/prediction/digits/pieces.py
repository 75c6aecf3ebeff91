"""Connected pieces of ink, and which of them are one digit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cnnlab.workbench.prediction.digits.box import Box, gap, surrounding, touches
from cnnlab.workbench.prediction.digits.measures import Map

# Pieces of a digit: the smallest, as a share of the ink of the largest, and the widest gap, as a share of its side.
_MIN_PIECE, _MAX_GAP = 0.02, 0.3
_MAX_NUM_PIECES = 50
# What reaches the picture's border with less than this share of the strongest contrast is the tip of a shadow.
_FAINT = 0.75
# What lies in this share of the picture's side along its border, for the most part, is a frame and no digit.
_BORDER = 0.06


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Piece:
    """Pixels that are connected.

    Attributes:
        label: their number in `labels`.
        ink: the sum of their contrast; strength: its mean.
        is_frame: whether they run along the border of the picture.
        is_line: whether they cross the picture, as a ruled line does, or a 1 that fills it.
    """

    labels: NDArray[np.int32]
    label: int
    box: Box
    ink: float
    strength: float
    touches: bool
    is_frame: bool
    is_line: bool


def pieces_of(contrast: Map, mask: NDArray[np.bool_]) -> list[Piece]:
    """The pieces of the mask with the most ink."""
    labels, num_labels = ndimage.label(mask, np.ones((3, 3)))
    ink = np.bincount(labels.ravel(), contrast.ravel(), num_labels + 1)[1:]
    areas = np.bincount(labels.ravel(), minlength=num_labels + 1)[1:]
    inside = labels[_border_band(labels.shape)]
    near_border = areas - np.bincount(inside.ravel(), minlength=num_labels + 1)[1:]
    places = ndimage.find_objects(labels)
    pieces = []
    for index in np.argsort(-ink)[:_MAX_NUM_PIECES]:
        rows, columns = places[index]
        box = Box(rows.start, columns.start, rows.stop, columns.stop)
        crosses = (box.top == 0 and box.bottom == labels.shape[0]) or (box.left == 0 and box.right == labels.shape[1])
        is_line = crosses and min(box.height, box.width) < 0.15 * box.longest
        is_frame = bool(near_border[index] > 0.6 * areas[index]) and touches(box, labels.shape)
        amount, strength = float(ink[index]), float(ink[index] / areas[index])
        reaches_border = touches(box, labels.shape)
        pieces.append(Piece(labels, int(index) + 1, box, amount, strength, reaches_border, is_frame, is_line))
    return pieces


def without_frames_and_shadows(pieces: Sequence[Piece]) -> list[Piece]:
    """What may be strokes; all of them if none may."""
    candidates = [piece for piece in pieces if not (piece.is_frame or piece.is_line)] or list(pieces)
    strongest = max(piece.strength for piece in candidates if piece.ink >= 0.1 * candidates[0].ink)
    return [piece for piece in candidates if not piece.touches or piece.strength > _FAINT * strongest] or candidates


def belonging_together(pieces: list[Piece]) -> list[Piece]:
    """The piece with the most ink, and those near enough for their size to be of the same digit."""
    largest, *others = without_frames_and_shadows(pieces)
    chosen = [largest]
    while True:
        box = surrounding([piece.box for piece in chosen])
        near = [piece for piece in others if is_part_of(piece, box, largest.ink)]
        if not near:
            return chosen
        chosen += near
        others = [piece for piece in others if piece not in near]


def is_part_of(piece: Piece, box: Box, ink: float) -> bool:
    """Whether a piece is near enough, for its size, to a digit in that box whose largest piece has so much ink."""
    share = piece.ink / ink
    return share >= _MIN_PIECE and gap(piece.box, box) <= min(_MAX_GAP, 0.05 + share) * box.longest


def _border_band(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of a picture inside the band along its border."""
    height, width = (round(_BORDER * length) for length in shape)
    return slice(height, shape[0] - height), slice(width, shape[1] - width)
