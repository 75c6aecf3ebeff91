"""Turns a picture of one handwritten digit into the format of MNIST."""

from dataclasses import dataclass

from cnnlab.errors import UserError
from cnnlab.workbench.prediction.digits.box import Box
from cnnlab.workbench.prediction.digits.cleaning import are_strokes, clean, extent
from cnnlab.workbench.prediction.digits.cut import cut_out
from cnnlab.workbench.prediction.digits.fitting import centred, fitted, thickened
from cnnlab.workbench.prediction.digits.frame import inside_frame
from cnnlab.workbench.prediction.digits.measures import Grey
from cnnlab.workbench.prediction.digits.search import ShrunkPicture, candidates

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
    frame = inside_frame(grey)
    picture = grey[frame.slices]
    for strokes in candidates(ShrunkPicture.shrink(picture), picture):
        cut = cut_out(picture, strokes.box, _MARGIN)
        ink, contrast = clean(cut.light(strokes.are_dark), strokes.ground.within(strokes.box).scaled(cut.scale))
        if are_strokes(ink, contrast):
            box = cut.to_picture(extent(ink)).shifted(frame.top, frame.left)
            return Digit(centred(fitted(thickened(ink))), box, strokes.are_dark)
    raise UserError("no digit in it: what stands out from the background are no strokes")
