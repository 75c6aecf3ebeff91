"""What a network still recognises when MNIST's digits come as pictures instead of tensors.

    python scripts/prediction_benchmark.py latest
    python scripts/prediction_benchmark.py outputs/runs/<run> --images 2000 --seed 1
    python scripts/prediction_benchmark.py latest --split val      for tuning: never with the test images
    python scripts/prediction_benchmark.py latest --smoke          a few digits: does it work?

Every digit of the run's split is distorted in several ways, at random but the same for every run with one seed, saved
as a picture in memory, read back by cnnlab.imaging and cnnlab.digits, and classified by the run's network. A picture
that is refused counts as wrong. "clean" are the stored tensors. Claimed is of "all together" that it loses at most 0.5
points. The ways below it are not part of the claim. The table goes to outputs/bench/prediction.md and .csv.

Milliseconds are those from the picture in memory to 28x28 pixels; the network's are not counted.
"""

import argparse
import io
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn
from tqdm import tqdm

from cnnlab.atomic import write_atomically
from cnnlab.data.labelled import Labelled
from cnnlab.data.normalise import Normalise
from cnnlab.digits.digit import normalise_digit
from cnnlab.errors import UserError
from cnnlab.hardware import device_name
from cnnlab.imaging import read_image
from cnnlab.saved_run import SavedModel, load_data, load_model

CLAIM = 0.5
# Ways beyond the claim are tried with the first so many digits; photos of 12 megapixels take a second each to make.
NUM_BEYOND, NUM_LARGE = 1_000, 50
ORIENTATION = 0x0112

Pixels = NDArray[np.uint8]
Coverage = NDArray[np.float32]


def main() -> None:
    arguments = parse_arguments()
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    try:
        saved = load_model(arguments.run)
        digits = read_digits(saved, arguments.split, arguments.images)
    except UserError as error:
        sys.exit(f"error: {error}")
    table = benchmark(saved, digits, arguments.only or list(PATHS), arguments.seed)
    text = f"{note(arguments, saved, table)}\n\n{markdown(table)}\n"
    write_atomically(arguments.out / "prediction.csv", table.to_csv(index=False).encode())
    write_atomically(arguments.out / "prediction.md", text.encode())
    print(f"{text}\nTables: {arguments.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder, or latest: the run in outputs/runs that was started last")
    parser.add_argument("--images", type=int, default=10_000, help="digits, of those there are (default 10000)")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="whose digits (default test)")
    parser.add_argument("--seed", type=int, default=0, help="of the distortions (default 0)")
    parser.add_argument("--only", nargs="+", choices=PATHS, metavar="PATH", help=f"some of: {', '.join(PATHS)}")
    parser.add_argument("--out", type=Path, default=Path("outputs/bench"), help="folder of the tables")
    parser.add_argument("--smoke", action="store_true", help="20 digits")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.images = 20
    if arguments.images < 1:
        parser.error(f"--images must be at least 1, got {arguments.images}")
    return arguments


def read_digits(saved: SavedModel, split: str, num_images: int) -> Labelled:
    """Raise UserError for a network that was not trained on digits."""
    if saved.data["preprocessing"] != "digits":
        raise UserError(f"expected a run on mnist, whose pictures are digits, got one on {saved.data['dataset']}")
    data = load_data(saved)
    data.setup()
    loader = data.test_dataloader() if split == "test" else data.val_dataloader()
    return loader.data.first(min(num_images, len(loader.data)))


def benchmark(saved: SavedModel, digits: Labelled, paths: list[str], seed: int) -> pd.DataFrame:
    """A row for the stored tensors, and one for each path."""
    classify = Classify(saved)
    clean = classify(digits.inputs) == digits.labels
    rows = [Outcome("clean", clean, clean, 0, float("nan")).row()]
    for name in paths:
        make = PATHS[name]
        num_images = min(len(digits), MOST_IMAGES.get(name, len(digits)))
        generator = np.random.default_rng([seed, list(PATHS).index(name)])
        prepared, seconds = [], 0.0
        is_refused = torch.zeros(num_images, dtype=torch.bool)
        progress = tqdm(digits.inputs[:num_images, 0].numpy(), desc=name, leave=False, disable=not sys.stderr.isatty())
        for index, pixels in enumerate(progress):
            content = make(pixels, generator)
            began = time.perf_counter()
            try:
                prepared.append(normalise_digit(read_image(content, 1, name=name)[0]))
            except UserError:
                prepared.append(np.zeros((28, 28), np.uint8))
                is_refused[index] = True
            seconds += time.perf_counter() - began
        inputs = torch.from_numpy(np.stack(prepared))[:, None]
        correct = (classify(inputs) == digits.labels[:num_images]) & ~is_refused
        num_refused = int(is_refused.sum())
        rows.append(Outcome(name, correct, clean[:num_images], num_refused, 1e3 * seconds / num_images).row())
    return pd.DataFrame(rows)


class Classify:
    """uint8 (N, 1, 28, 28) to the classes that the run's network takes them for, in batches."""

    def __init__(self, saved: SavedModel) -> None:
        data = saved.data
        self.model: nn.Module = saved.model
        self.normalise = Normalise(data["mean"], data["std"], data["scale"], 2, torch.device("cpu"))

    @torch.inference_mode()
    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.cat([self.model(self.normalise(batch)).argmax(dim=1) for batch in inputs.split(500)])


@dataclass(frozen=True)
class Outcome:
    """What became of the pictures of a path; `clean` says which of the same digits are right as tensors."""

    path: str
    correct: Tensor
    clean: Tensor
    num_refused: int
    milliseconds: float

    def row(self) -> dict[str, object]:
        accuracy, clean = (100 * float(right.double().mean()) for right in (self.correct, self.clean))
        return {
            "path": self.path,
            "images": len(self.correct),
            "accuracy %": round(accuracy, 2),
            "points to clean": round(accuracy - clean, 2),
            "refused": self.num_refused,
            "ms per picture": round(self.milliseconds, 1),
        }


# --- Distortions: a digit (28, 28), light on black, to the content of a file -----------------------------------------


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

CLAIMED = ("PNG", "enlarged", "shifted", "inverted", "on a canvas", "JPEG", "all together")
MOST_IMAGES = {name: NUM_BEYOND for name in PATHS if name not in CLAIMED} | {"small in a large photo": NUM_LARGE}


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


# --- The table --------------------------------------------------------------------------------------------------------


def note(arguments: argparse.Namespace, saved: SavedModel, table: pd.DataFrame) -> str:
    clean = table.iloc[0]
    text = (
        f"{saved.data['dataset']}, {clean['images']:,} {arguments.split} digits, seed {arguments.seed}, "
        f"{saved.config.model._target_.rpartition('.')[2]}, {device_name('cpu')}."
    )
    for lost in -table.loc[table["path"] == "all together", "points to clean"]:
        text += f" All together lose {lost:.2f} points; claimed are at most {CLAIM}."
    return text


def markdown(table: pd.DataFrame) -> str:
    def cell(value: object) -> str:
        return "" if value != value else str(value)

    rows = [list(table.columns), ["---"] * len(table.columns), *(map(cell, row) for row in table.astype(object).values)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
