"""Draws many small pictures side by side, each above the name of what it shows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_SMALLEST, _LARGEST = 72, 128  # pixels of the shorter side of a picture
_FONT_SIZE, _CARD, _GAP = 13, 400, 6  # pixels; a wide grid has larger letters, because TensorBoard shrinks it to a card
_PAPER, _INK = "white", "black"


def labelled_grid(pictures: Tensor, names: Sequence[str], per_row: int) -> NDArray[np.uint8]:
    """Return the grid as one picture (H, W, 3). Small pictures are enlarged by a whole factor, large ones shrunk.

    Args:
        pictures: (N, 1 or 3, H, W). The smallest of all values becomes black and the largest white.
        names: (N,) what stands below each; the end of a name that is too long is left out.
    """
    low, high = pictures.aminmax()
    pixels = ((pictures - low) / (high - low).clamp(min=1e-12) * 255).round().byte()
    width, height = _size(pixels.shape[3], pixels.shape[2])
    num_columns = min(per_row, len(pixels))
    sheet_width = num_columns * (width + _GAP) + _GAP
    font_size = max(_FONT_SIZE, round(_FONT_SIZE * sheet_width / _CARD))
    font = ImageFont.load_default(font_size)
    row_height = height + round(1.4 * font_size) + _GAP
    size = (sheet_width, -(-len(pixels) // per_row) * row_height + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (picture, name) in enumerate(zip(pixels, names, strict=False)):
        row, column = divmod(number, per_row)
        left, top = _GAP + column * (width + _GAP), _GAP + row * row_height
        image = Image.fromarray(picture.expand(3, -1, -1).permute(1, 2, 0).numpy())
        is_enlarged = width >= image.width
        sheet.paste(image.resize((width, height), Image.Resampling.NEAREST if is_enlarged else None), (left, top))
        pen.text((left + width / 2, top + height + 1), _shortened(name, width, font), _INK, font, anchor="ma")
    return np.asarray(sheet)


def _size(width: int, height: int) -> tuple[int, int]:
    shorter = min(width, height)
    scale = _LARGEST / shorter if shorter > _LARGEST else -(-_SMALLEST // shorter)
    return round(width * scale), round(height * scale)


def _shortened(name: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    name = " ".join(name.split())
    if font.getlength(name) <= width:
        return name
    while name and font.getlength(name + "…") > width:
        name = name[:-1]
    return name + "…"
