"""Random pictures of MNIST's digits as people might take them, for prediction_benchmark.py and for the documentation.

Each way takes a digit (28, 28), light on black, and makes the content of a file of it. The picture of the page on
evaluation is made by:

    python scripts/digit_pictures.py digits
    python predict.py run=latest images=digits out=answers      answers/contact_sheet.png is docs/contact_sheet.png
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cnnlab.cli import console

ORIENTATION = 0x0112  # EXIF

Pixels = NDArray[np.uint8]
Coverage = NDArray[np.float32]


def plain(digit: Pixels, generator: Generator) -> bytes:
    return png(digit)


def enlarged(digit: Pixels, generator: Generator) -> bytes:
    return png(as_pixels(255 * coverage(digit, generator.uniform(2, 12))))


def shifted(digit: Pixels, generator: Generator) -> bytes:
    """Anywhere in the 28x28 pixels, as far as the border."""
    tight = cropped(digit)
    canvas = np.zeros_like(digit)
    top, left = (generator.integers(0, 28 - length, endpoint=True) for length in tight.shape)
    canvas[top : top + tight.shape[0], left : left + tight.shape[1]] = tight
    return png(canvas)


def inverted(digit: Pixels, generator: Generator) -> bytes:
    """Half of them."""
    return png(255 - digit if generator.random() < 0.5 else digit)


def on_canvas(digit: Pixels, generator: Generator) -> bytes:
    return png(noisy(on_paper(coverage(digit, 1), generator), generator))


def as_jpeg(digit: Pixels, generator: Generator) -> bytes:
    return jpeg(digit, generator)


def all_together(digit: Pixels, generator: Generator) -> bytes:
    """Enlarged, off-centre on white, black or grey paper, light or dark strokes, noise, JPEG."""
    return jpeg(noisy(on_paper(coverage(digit, generator.uniform(2, 12)), generator), generator), generator)


def cut_tightly(digit: Pixels, generator: Generator) -> bytes:
    """Up to the digit's own border on all sides, half of them inverted."""
    return inverted(as_pixels(255 * coverage(cropped(digit), generator.uniform(2, 12))), generator)


def thin_strokes(digit: Pixels, generator: Generator) -> bytes:
    """The strokes' middle lines drawn one or two pixels wide at four times the size, as with a mouse."""
    lines = middle_lines(coverage(digit, 4) > 0.5)
    if generator.random() < 0.5:
        lines = ndimage.binary_dilation(lines, np.ones((2, 2)))
    return inverted(as_pixels(255 * lines), generator)


def soft_shadow(digit: Pixels, generator: Generator) -> bytes:
    return jpeg(photo(coverage(digit, generator.uniform(4, 12)), generator, soft_light), generator)


def hard_shadow(digit: Pixels, generator: Generator) -> bytes:
    return jpeg(photo(coverage(digit, generator.uniform(4, 12)), generator, hard_light), generator)


def framed(digit: Pixels, generator: Generator) -> bytes:
    """Dark on white in a black frame along the picture's border."""
    grey = 255 - all_around(255 * coverage(digit, generator.uniform(2, 12)), 0.2)
    width = max(1, round(generator.uniform(0.01, 0.06) * len(grey)))
    grey[:width] = grey[-width:] = grey[:, :width] = grey[:, -width:] = 0
    return png(as_pixels(grey))


def turned_by_exif(digit: Pixels, generator: Generator) -> bytes:
    """A camera held sideways or upside down."""
    turns = int(generator.integers(4))
    exif = Image.Exif()
    exif[ORIENTATION] = (1, 6, 3, 8)[turns]
    picture = noisy(on_paper(coverage(digit, generator.uniform(2, 12)), generator), generator)
    return jpeg(np.rot90(picture, turns), generator, exif=exif)


def small_in_large_photo(digit: Pixels, generator: Generator) -> bytes:
    """12 megapixels, the digit's box a fifteenth to a fifth of the height."""
    strokes = np.zeros((3000, 4000), np.float32)
    part = coverage(digit, generator.uniform(10, 30))
    top, left = (
        int(generator.integers(0, whole - side)) for whole, side in zip(strokes.shape, part.shape, strict=True)
    )
    strokes[top : top + part.shape[0], left : left + part.shape[1]] = part
    return jpeg(lit(strokes, generator, soft_light), generator)


PATHS: dict[str, Callable[[Pixels, Generator], bytes]] = {
    "PNG": plain,
    "enlarged": enlarged,
    "shifted": shifted,
    "inverted": inverted,
    "on a canvas": on_canvas,
    "JPEG": as_jpeg,
    "all together": all_together,
    "cut tightly": cut_tightly,
    "turned by EXIF": turned_by_exif,
    "framed": framed,
    "soft shadow": soft_shadow,
    "hard shadow": hard_shadow,
    "thin strokes": thin_strokes,
    "small in a large photo": small_in_large_photo,
}

# Ways whose pictures look like those of another one.
LIKE_ANOTHER = ("PNG", "shifted")

CLAIMED = ("PNG", "enlarged", "shifted", "inverted", "on a canvas", "JPEG", "all together")


# --- Their parts ------------------------------------------------------------------------------------------------------


def coverage(digit: Pixels, factor: float) -> Coverage:
    """The share of each pixel that is ink, enlarged by cubic interpolation."""
    size = tuple(max(1, round(factor * length)) for length in digit.shape[::-1])
    larger = Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(larger, dtype=np.float32) / 255


def cropped(digit: Pixels) -> Pixels:
    rows, columns = np.nonzero(digit)
    return digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def all_around(picture: Coverage, margin: float) -> Coverage:
    return np.pad(picture, round(margin * max(picture.shape)))


def off_centre(strokes: Coverage, generator: Generator) -> Coverage:
    """Somewhere on a canvas of 1.2 to 2.5 times the height and width."""
    height, width = (round(length * generator.uniform(1.2, 2.5)) for length in strokes.shape)
    canvas = np.zeros((height, width), np.float32)
    top, left = (
        int(generator.integers(0, whole - part, endpoint=True))
        for whole, part in zip(canvas.shape, strokes.shape, strict=True)
    )
    canvas[top : top + strokes.shape[0], left : left + strokes.shape[1]] = strokes
    return canvas


def on_paper(strokes: Coverage, generator: Generator) -> Coverage:
    """Off-centre on white, black or grey paper, in a colour that can be seen on it."""
    dark, light = generator.uniform(0, 60), generator.uniform(200, 255)
    kind = generator.integers(4)
    paper, ink = (
        (generator.uniform(225, 255), dark),
        (generator.uniform(0, 30), light),
        (generator.uniform(110, 150), dark),
        (generator.uniform(110, 150), light),
    )[kind]
    return paper + (ink - paper) * off_centre(strokes, generator)


def noisy(grey: Coverage, generator: Generator) -> Pixels:
    deviation = generator.uniform(1, 5)
    return as_pixels(grey + deviation * generator.standard_normal(grey.shape, dtype=np.float32))


def photo(strokes: Coverage, generator: Generator, light: Callable[..., Coverage]) -> Pixels:
    return lit(off_centre(strokes, generator), generator, light)


def lit(strokes: Coverage, generator: Generator, light: Callable[..., Coverage]) -> Pixels:
    """Ink on white paper with some texture, lit, a little out of focus, with the sensor's noise."""
    texture = ndimage.zoom(generator.standard_normal([length // 4 + 1 for length in strokes.shape]), 4, order=1)
    paper = generator.uniform(190, 245) + 2 * texture[: strokes.shape[0], : strokes.shape[1]].astype(np.float32)
    reflected = paper * (1 - strokes * generator.uniform(0.5, 0.85)) * light(strokes.shape, generator)
    return noisy(ndimage.gaussian_filter(reflected, generator.uniform(0.5, 1.5)), generator)


def soft_light(shape: tuple[int, int], generator: Generator) -> Coverage:
    """Falls off to one side, and darkest around some place in the picture."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, length, dtype=np.float32) for length in shape), indexing="ij")
    angle = generator.uniform(0, 2 * np.pi)
    fall = 0.5 + 0.5 * np.clip(np.cos(angle) * x + np.sin(angle) * y, -1, 1)
    distance = (x - generator.uniform(-1, 1)) ** 2 + (y - generator.uniform(-1, 1)) ** 2
    blob = np.exp(-distance / generator.uniform(0.3, 1))
    return ((1 - generator.uniform(0, 0.4) * fall) * (1 - generator.uniform(0.1, 0.5) * blob)).astype(np.float32)


def hard_light(shape: tuple[int, int], generator: Generator) -> Coverage:
    """A straight edge of a shadow through the middle third of the picture, sharp to a pixel or two."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, length, dtype=np.float32) for length in shape), indexing="ij")
    angle = generator.uniform(0, 2 * np.pi)
    in_shadow = np.cos(angle) * x + np.sin(angle) * y > generator.uniform(-0.33, 0.33)
    edge = ndimage.gaussian_filter(in_shadow.astype(np.float32), generator.uniform(0.5, 2))
    return 1 - generator.uniform(0.25, 0.55) * edge


def middle_lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Lines of one pixel that strokes shrink to (Zhang & Suen 1984)."""
    mask = np.pad(mask, 1)
    while True:
        before = mask.copy()
        for first, second in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            ring = [np.roll(mask, shift, (0, 1)) for shift in ((1, 0), (1, -1), (0, -1), (-1, -1))]
            ring += [np.roll(mask, shift, (0, 1)) for shift in ((-1, 0), (-1, 1), (0, 1), (1, 1))]
            neighbours = np.sum(ring, axis=0)
            changes = np.sum([~ring[k] & ring[(k + 1) % 8] for k in range(8)], axis=0)
            one, other = (~np.logical_and.reduce([ring[k] for k in side]) for side in (first, second))
            mask &= ~((neighbours >= 2) & (neighbours <= 6) & (changes == 1) & one & other)
        if (mask == before).all():
            return mask[1:-1, 1:-1]


def as_pixels(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def png(picture: Pixels) -> bytes:
    return encoded(picture, "PNG", compress_level=1)


def jpeg(picture: Pixels, generator: Generator, **options: object) -> bytes:
    return encoded(picture, "JPEG", quality=int(generator.integers(70, 95, endpoint=True)), **options)


def encoded(picture: Pixels, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, file_format, **options)
    return file.getvalue()


@console.script()
def main() -> None:
    """Write a picture of each way to a folder, of one digit after the other."""
    from cnnlab.data.mnist import MNIST

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    mnist = MNIST()
    mnist.prepare_data()
    read_test = mnist.read().test
    assert callable(read_test)
    test = read_test()
    for number, name in enumerate(name for name in PATHS if name not in LIKE_ANOTHER):
        digit = number % 10
        first = int((test.labels == digit).nonzero()[0])
        content = PATHS[name](test.inputs[first, 0].numpy(), np.random.default_rng(number))
        ending = "png" if content.startswith(b"\x89PNG") else "jpg"
        (folder / f"{digit}_{name.replace(' ', '_')}.{ending}").write_bytes(content)


if __name__ == "__main__":
    main()
