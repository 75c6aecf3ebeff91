"""Reads pictures for a network that was trained on images."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnnlab.data.files.imaging import Resize, read_image, resized
from cnnlab.data.files.picture_names import is_picture
from cnnlab.errors import UserError
from cnnlab.workbench.canvas import BLUE
from cnnlab.workbench.prediction import contact_sheet
from cnnlab.workbench.prediction.digits.digit import Digit, extract_digits, normalise_digit
from cnnlab.workbench.prediction.reader import Part, Prepared, Reader

Pixels = NDArray[np.uint8]


class PictureReader(Reader):
    """Makes images of pictures: resized, or for a network of digits normalised as MNIST's authors did.

    Args:
        data: the description of the network's data, see DataModule.description.

    Raises:
        UserError: if those were no grey or RGB images.
    """

    what = "pictures"
    formats = "PNG, JPEG, WebP, GIF, TIFF, BMP, …"
    request = "images= is missing: name a picture, a folder of them, a glob or a zip archive"

    def __init__(self, data: Mapping[str, Any]) -> None:
        shape = tuple(data["input_shape"])
        if len(shape) != 3 or shape[0] not in (1, 3) or data["scale"] != 1 / 255:
            raise UserError(
                f"samples of {'x'.join(map(str, shape))} that are no pictures; expected a run on grey or RGB images"
            )
        self.takes_digits = data["preprocessing"] == "digits"
        self._num_channels, self._size = shape[0], (shape[1], shape[2])
        self._full_scale = data.get("full_scale")  # of a run on images in folders
        self._resize: Resize = data.get("resize", "squash")  # earlier runs and other data know no other way

    def accepts(self, name: str) -> bool:
        return is_picture(name)

    def read(self, source: Path | bytes, name: str) -> Prepared:
        picture = read_image(source, 3, name=name, full_scale=self._full_scale)
        if self.takes_digits:
            pixels = self._normalised_digit(picture, name)
        else:
            pixels = read_image(source, self._num_channels, self._size, name, self._full_scale, self._resize)
        return Prepared(_thumbnail(picture), pixels, seen=pixels)

    def read_all(self, source: Path | bytes, name: str) -> Iterator[tuple[str, Prepared]]:
        """A sample of each picture; of digits beside each other one of each, named `<name> [<number>]`."""
        if not self.takes_digits:
            yield from super().read_all(source, name)
            return
        picture = read_image(source, 3, name=name, full_scale=self._full_scale)
        digits, num_unread = self.digits_in(picture, name)
        were = "was" if num_unread == 1 else "were"
        warning = f"{name}: {num_unread} more in it that {were} not read" if num_unread else None
        for number, digit in enumerate(digits, start=1):
            seen = digit.pixels[None]
            if len(digits) == 1:
                yield name, Prepared(_thumbnail(picture), seen, seen, warning=warning)
            else:
                shown = _thumbnail(picture, digit)
                yield f"{name} [{number}]", Prepared(shown, seen, seen, Part(name, number), warning)

    def digits_in(self, picture: Pixels, name: str = "the picture") -> tuple[list[Digit], int]:
        """The digits that stand beside each other in a picture (C, H, W), and how many more were not read.

        Raises:
            UserError: if there is none.
        """
        try:
            return extract_digits(np.asarray(_image(picture).convert("L")))
        except UserError as error:
            raise UserError(f"{name}: {error}") from error

    def from_pixels(self, picture: Pixels) -> Pixels:
        """Make a sample of a picture (C, H, W) with one or three channels.

        Raises:
            UserError: if there should be a digit in it and is none.
        """
        if self.takes_digits:
            return self._normalised_digit(picture, "the picture")
        image = _image(picture).convert("L" if self._num_channels == 1 else "RGB")
        return _pixels(resized(image, self._size, self._resize))

    def _normalised_digit(self, picture: Pixels, name: str) -> Pixels:
        try:
            return normalise_digit(np.asarray(_image(picture).convert("L")))[None]
        except UserError as error:
            raise UserError(f"{name}: {error}") from error


def _thumbnail(picture: Pixels, digit: Digit | None = None) -> Pixels:
    """The picture as the contact sheet shows it, with a frame around one of its digits."""
    image = _image(picture)
    size = image.size
    image.thumbnail((contact_sheet.PICTURE_SIDE, contact_sheet.PICTURE_SIDE))
    if digit is not None:
        scale, box = image.width / size[0], digit.box
        corners = (box.left * scale - 2, box.top * scale - 2, box.right * scale + 1, box.bottom * scale + 1)
        ImageDraw.Draw(image).rectangle(corners, outline=BLUE, width=2)
    return _pixels(image)


def _image(picture: Pixels) -> Image.Image:
    return Image.fromarray(picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0)))


def _pixels(image: Image.Image) -> Pixels:
    pixels = np.array(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
