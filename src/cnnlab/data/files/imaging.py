"""Reads any picture that Pillow opens as an array for a network.

Pictures come from a path, or from memory as bytes: from a zip archive or an upload. Those of more than
Image.MAX_IMAGE_PIXELS pixels (Pillow's own limit, 89 megapixels) are refused before they are decoded: a file of a few
bytes can claim to be a picture that fills the memory.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cnnlab.errors import UserError, printable

# How a picture gets another ratio of its sides, see resized.
Resize = Literal["crop", "pad", "squash"]

_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)

# Pillow warns of damage that it reads over, and of pictures between its limit and twice that, which are refused here.
# Set permanently, because catch_warnings is not safe in threads, and headers of many files are read in threads.
for category in (UserWarning, Image.DecompressionBombWarning):
    warnings.filterwarnings("ignore", category=category, module=r"PIL\.")


@dataclass(frozen=True)
class Header:
    """Size and colour of a picture, known before it is decoded.

    Attributes:
        height, width: after the rotation that the camera recorded.
        num_channels: 1 for grey, 3 for colour.
    """

    height: int
    width: int
    num_channels: int


class _NoScale(Exception):
    """The picture can be read, but nothing says which of its values is white."""


def read_header(source: Path | bytes, name: str | None = None) -> Header:
    """Read size and colour without decoding the picture.

    Args:
        source, name: see read_image.

    Raises:
        UserError: if it is not a picture, or too large.
    """
    with _opened(source, name) as image:
        width, height = image.size
        # Pillow decodes the whole of a PNG in search of what is almost never behind its pixels.
        has_exif = image.format != "PNG" or "exif" in image.info
        if has_exif and image.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        return Header(height, width, 1 if _is_grey(image) else 3)


def read_image(
    source: Path | bytes,
    num_channels: int,
    size: tuple[int, int] | None = None,
    name: str | None = None,
    full_scale: float | None = None,
    resize: Resize = "squash",
) -> NDArray[np.uint8]:
    """Return a picture as (num_channels, height, width), turned upright and with white behind transparent pixels.

    Of an animation the first frame is taken; 16 bits a channel become 8. What is white does not follow from the
    brightest pixel of one picture: two pictures of one camera would be scaled differently.

    Args:
        source: where the picture lies, or the whole content of its file.
        num_channels: 1 for grey, 3 for RGB.
        size: height and width to resize to.
        name: what errors call the picture; None: its path.
        full_scale: the value that is white in grey pictures of more than 8 bits, and above which all is; None: 65535
            for 16 bits.
        resize: what happens to a picture whose sides have another ratio than `size`, see resized.

    Raises:
        UserError: if it is no picture, damaged, or too large to be one (Pillow's limit against decompression bombs),
            or if it has 32 bits or floating-point numbers and no full_scale.
    """
    with _opened(source, name) as image:
        if size is not None:
            image.draft(None, (2 * max(size), 2 * max(size)))  # JPEG: decode no finer than needed
        upright = ImageOps.exif_transpose(image)
        plain = _on_white(_to_8_bits(upright, image.format, full_scale)).convert("L" if num_channels == 1 else "RGB")
        if size is not None:
            plain = resized(plain, size, resize)
        pixels = np.array(plain)  # a copy: Pillow's own memory is read-only
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def resized(image: Image.Image, size: tuple[int, int], how: Resize) -> Image.Image:
    """Resize to height and width, smoothed when it gets smaller.

    crop cuts off what is too much at both ends of the longer side, so that things keep their shape. pad keeps the whole
    picture and adds black bars. squash keeps the whole picture without bars, and circles become ellipses.
    """
    width_and_height = size[::-1]
    if image.size == width_and_height:
        return image
    if how == "crop":
        return ImageOps.fit(image, width_and_height, Image.Resampling.BILINEAR)
    if how == "pad":
        scale = min(size[0] / image.height, size[1] / image.width)
        # At least one pixel, where ImageOps.pad leaves nothing of a line.
        width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        page = Image.new(image.mode, width_and_height)
        inside = image.resize((width, height), Image.Resampling.BILINEAR)
        page.paste(inside, ((size[1] - width) // 2, (size[0] - height) // 2))
        return page
    return image.resize(width_and_height, Image.Resampling.BILINEAR)


@contextmanager
def _opened(source: Path | bytes, name: str | None) -> Iterator[Image.Image]:
    """Open a picture; every error becomes a UserError, because Pillow's decoders raise many kinds for damaged files."""
    called = printable(name or (str(source) if isinstance(source, Path) else "the picture"))
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            _refuse_bomb(image)
            yield image
    except _NoScale as error:
        raise UserError(f"{called} {error}") from error
    except Exception as error:
        reason = "it is empty" if _is_empty(source) else _plain(error)
        raise UserError(f"{called} cannot be read as an image ({reason})") from error


def _refuse_bomb(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError(
            f"Image size ({image.width * image.height} pixels) exceeds limit of {limit} pixels"
        )


def _is_empty(source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        return not source
    return source.is_file() and source.stat().st_size == 0


def _plain(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its content is no image that Pillow knows"
    return " ".join(str(error).split()) or type(error).__name__


def _is_grey(image: Image.Image) -> bool:
    return image.mode in _GREY_MODES or image.mode.startswith("I;16")


def _to_8_bits(image: Image.Image, file_format: str | None, full_scale: float | None) -> Image.Image:
    """Scale to 8 bits, because Pillow would clip 16-bit and float pixels at 255."""
    if not image.mode.startswith(("I", "F")):
        return image
    if full_scale is None:
        # Pillow itself scales what a PPM file calls white to 65535, and keeps it in 32 bits.
        if not image.mode.startswith("I;16") and (image.mode, file_format) != ("I", "PPM"):
            numbers = "floating-point numbers" if image.mode == "F" else "32-bit numbers"
            raise _NoScale(
                f"holds {numbers}, which do not say what is white; train with data.full_scale=, the value that is "
                "white (1.0, 4095, …), or save it with 8 or 16 bits"
            )
        full_scale = 65535.0
    pixels = np.asarray(image, dtype=np.float64)
    if not np.isfinite(pixels).all():
        raise ValueError("it has pixels that are NaN or infinite")
    return Image.fromarray(np.rint(np.clip(pixels * (255.0 / full_scale), 0, 255)).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
