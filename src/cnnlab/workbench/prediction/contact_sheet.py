"""Pictures, what the network saw of them, and its answers, on pages like a photographer's contact sheet."""

import io
import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cnnlab.workbench.notation import shortened

_COLUMNS, _ROWS = 4, 10
MOST_ENTRIES = _COLUMNS * _ROWS
PICTURE_SIDE = 112  # pixels
_GAP, _LINE, _HEADER = 12, 17, 50
_CELL_WIDTH, _CELL_HEIGHT = 2 * PICTURE_SIDE + 2 * _GAP, PICTURE_SIDE + 2 * _LINE + 2 * _GAP
_CHARACTER, _MOST_FOOT_LINES = 7, 4  # pixels of a small letter
_UNSURE = 0.9  # below it an answer is marked
_BLACK, _GREY, _VERMILION, _FRAME = "#000000", "#666666", "#d55e00", "#bbbbbb"


class Entry(NamedTuple):
    """One picture.

    Attributes:
        name: of the file.
        picture: (3, H, W) uint8, no side longer than PICTURE_SIDE.
        seen: (C, H, W) uint8 with one or three channels.
        label: the answer.
        probability: how sure it is; None where there are no classes to tell apart.
    """

    name: str
    picture: NDArray[np.uint8]
    seen: NDArray[np.uint8]
    label: str
    probability: float | None


def draw(entries: Sequence[Entry], title: str, skipped: Sequence[str] = ()) -> bytes:
    """One page as PNG, of at most MOST_ENTRIES files, below its title and above the names of `skipped` files."""
    columns, rows = min(_COLUMNS, len(entries)), math.ceil(len(entries) / _COLUMNS)
    width = max(columns * _CELL_WIDTH + _GAP, 2 * _CELL_WIDTH)
    foot = _foot(skipped, width)
    end = rows * _CELL_HEIGHT + _HEADER
    page = Image.new("RGB", (width, end + _GAP + _LINE * len(foot)), "white")
    pen = ImageDraw.Draw(page)
    words = "left: what is in the file, right: what the network saw"
    if any(entry.probability is not None for entry in entries):
        words += f"; orange: less than {_UNSURE:.0%} sure"
    pen.text((_GAP, 8), shortened(title, width // 9), fill=_BLACK, font=_font(14, bold=True))
    pen.text((_GAP, 28), words, fill=_GREY, font=_font(12))
    for number, entry in enumerate(entries):
        row, column = divmod(number, _COLUMNS)
        _draw_entry(page, pen, entry, _GAP + column * _CELL_WIDTH, _HEADER + row * _CELL_HEIGHT)
    for number, line in enumerate(foot):
        pen.text((_GAP, end + number * _LINE), line, fill=_VERMILION, font=_font(11))
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def _foot(skipped: Sequence[str], width: int) -> list[str]:
    """Lines with the names of skipped files, as many as there is room for."""
    if not skipped:
        return []
    names = ", ".join(shortened(name, 36) for name in skipped)
    text = f"skipped {len(skipped):,}, for the reasons in predictions.json: {names}"
    return textwrap.wrap(text, width // _CHARACTER, max_lines=_MOST_FOOT_LINES, placeholder=" …")


def _draw_entry(page: Image.Image, pen: ImageDraw.ImageDraw, entry: Entry, left: int, top: int) -> None:
    seen = _image(entry.seen)
    factor = PICTURE_SIDE / max(seen.size)
    larger = seen.resize((round(seen.width * factor), round(seen.height * factor)), Image.Resampling.NEAREST)
    picture = _image(entry.picture)
    enlargement = PICTURE_SIDE // max(picture.size)  # a picture of few pixels would be the size of a stamp
    if enlargement > 1:
        picture = picture.resize((picture.width * enlargement, picture.height * enlargement), Image.Resampling.NEAREST)
    for place, shown in enumerate((picture, larger)):
        x = left + place * (PICTURE_SIDE + 4) + (PICTURE_SIDE - shown.width) // 2
        y = top + (PICTURE_SIDE - shown.height) // 2
        page.paste(shown, (x, y))
        pen.rectangle((x - 1, y - 1, x + shown.width, y + shown.height), outline=_FRAME)
    y = top + PICTURE_SIDE + 4
    answer, colour = shortened(entry.label, 26), _BLACK
    if entry.probability is not None:
        share = f"{entry.probability:.1%}"
        answer = f"{shortened(entry.label, 20)}  {'> 99.9%' if share == '100.0%' else share}"
        colour = _VERMILION if entry.probability < _UNSURE else _BLACK
    pen.text((left, y), answer, fill=colour, font=_font(14, bold=True))
    pen.text((left, y + _LINE + 2), shortened(entry.name, 36), fill=_GREY, font=_font(11))


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    if len(pixels) == 1:
        return Image.fromarray(pixels[0]).convert("RGB")
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _font(size: int, bold: bool = False) -> Any:
    """DejaVu Sans, which comes with matplotlib and knows most alphabets."""
    properties = font_manager.FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return ImageFont.truetype(font_manager.findfont(properties), size)
