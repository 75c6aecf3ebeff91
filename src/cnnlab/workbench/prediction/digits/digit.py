"""Turns a picture of one handwritten digit into the format of MNIST."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cnnlab.errors import UserError
from cnnlab.workbench.prediction.digits.box import Box, surrounding
from cnnlab.workbench.prediction.digits.cleaning import are_strokes, clean, extent
from cnnlab.workbench.prediction.digits.cut import cut_out
from cnnlab.workbench.prediction.digits.fitting import centred, fitted, thickened
from cnnlab.workbench.prediction.digits.frame import inside_frame
from cnnlab.workbench.prediction.digits.ground import level_of
from cnnlab.workbench.prediction.digits.measures import Grey
from cnnlab.workbench.prediction.digits.row import digits_of, owners
from cnnlab.workbench.prediction.digits.search import ShrunkPicture, Strokes, candidates

_MARGIN = 0.25  # around a digit, as a share of its longest side: paper to compare it with


@dataclass(frozen=True)
class Digit:
    """A digit, and where it came from.

    Attributes:
        pixels: uint8 (28, 28), strokes of 255 on 0.
        box: the part of the picture that it was cut out of.
        has_dark_strokes: whether it was dark on light.
    """

    pixels: Grey
    box: Box
    has_dark_strokes: bool


def normalise_digit(grey: Grey) -> Grey:
    """Return the digit of a grey picture (H, W) of any size as (28, 28), strokes of 255 on 0.

    Raises:
        UserError: if there is no digit in it.
    """
    return extract_digit(grey).pixels


def extract_digit(grey: Grey) -> Digit:
    """Find the digit of a grey picture (H, W) of any size, strokes dark or light, and normalise it.

    Raises:
        UserError: if there is no digit in it.
    """
    digit, _, _ = _found(grey)
    return digit


def extract_digits(grey: Grey) -> tuple[list[Digit], int]:
    """Find the digits that stand beside each other, from left to right, and normalise each; see extract_digit.

    Returns:
        The digits, and how many more there are that cannot be read or are above or below them.

    Raises:
        UserError: if there is no digit in it.
    """
    digit, strokes, frame = _found(grey)
    groups, num_others = digits_of(strokes.pieces)
    if len(groups) == 1:
        return [digit], num_others
    picture, owner = grey[frame.slices], owners(groups)
    digits = []
    for number, group in enumerate(groups):
        box = surrounding([piece.box for piece in group]).scaled(strokes.factor, picture.shape)
        own = np.repeat(np.repeat(owner == number, strokes.factor, axis=0), strokes.factor, axis=1)
        if (found := _cleaned(picture, replace(strokes, box=box), frame, own)) is not None:
            digits.append(found)
    if len(digits) < 2:
        return [digit], num_others + len(groups) - 1
    return digits, num_others + len(groups) - len(digits)


def _found(grey: Grey) -> tuple[Digit, Strokes, Box]:
    """The digit, what it was cleaned from, and the part of the picture inside of a frame."""
    frame = inside_frame(grey)
    picture = grey[frame.slices]
    for strokes in candidates(ShrunkPicture.shrink(picture), picture):
        if (digit := _cleaned(picture, strokes, frame)) is not None:
            return digit, strokes, frame
    raise UserError("no digit in it: what stands out from the background are no strokes")


def _cleaned(picture: Grey, strokes: Strokes, frame: Box, own: NDArray[np.bool_] | None = None) -> Digit | None:
    """The digit among these strokes; None if they are no strokes.

    Args:
        own: where in the picture it may lie; None: anywhere.
    """
    cut = cut_out(picture, strokes.box, _MARGIN)
    light, ground = cut.light(strokes.are_dark), strokes.ground.within(strokes.box).scaled(cut.scale)
    if own is not None:
        light = np.where(cut.same_part(own), light, level_of(light, ground))
    ink, contrast = clean(light, ground)
    if not are_strokes(ink, contrast):
        return None
    box = cut.to_picture(extent(ink)).shifted(frame.top, frame.left)
    return Digit(centred(fitted(thickened(ink))), box, strokes.are_dark)
