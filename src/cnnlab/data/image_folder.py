"""Reads a folder of images with one sub-folder per class."""

import logging
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, Literal, TypeVar

from tqdm import tqdm

from cnnlab.data.datamodule import DataModule
from cnnlab.data.files.class_folders import FileKind, LabelledFiles, check_fractions, find_files, whole_splits
from cnnlab.data.files.file_samples import FileSamples
from cnnlab.data.files.imaging import Header, Resize, read_header, read_image
from cnnlab.data.files.label_table import files_in_table
from cnnlab.data.files.picture_names import is_picture
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import UserError, joined_errors

log = logging.getLogger(__name__)

_PICTURES = FileKind(is_picture, "images", "pictures", "pictures that Pillow reads")
_DARK = 64  # training images stay below this grey level only if their upper two bits are never used

Result = TypeVar("Result")


class ImageFolder(DataModule):
    """Images in <root>/<class>/…, or in <root>/train/<class>/… with folders val and test beside train if they exist.

    A split that has no folder is cut off the training images, stratified and the same for every seed. Class names are
    the folders' names. All formats that Pillow reads are accepted. Files with other endings are counted and left
    out, and hidden folders and those of the system are ignored.

    Args:
        root: the folder.
        image_size: resize to n x n, or to [height, width]; None: as they are, if all have one size.
        resize: what happens to an image whose sides have another ratio: crop cuts off the ends of the longer side, pad
            adds black bars, squash changes the shape of things. Runs of earlier versions have squashed theirs.
        color: grey or rgb; auto: rgb if any image has colour.
        val_fraction, test_fraction: of the training images, for a split without a folder.
        full_scale: the value that is white in grey images of more than 8 bits; None: 65535 for 16 bits, and images of
            32 bits or floating point, of which it cannot be known, are refused.
        labels: a CSV file in the folder, or anywhere by its absolute path, for images that may have several labels at
            once (classifier=multilabel): a column with the names of the image files in the folder, and a column of 0
            and 1 for each label; a column named split may say train, val or test. None: the folders are the classes.
        unreadable: refuse to start with images that cannot be read, or skip them with a warning.
        **loading: see DataModule.
    """

    def __init__(
        self,
        root: str,
        image_size: int | Sequence[int] | None = None,
        color: Literal["auto", "rgb", "grey"] = "auto",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        full_scale: float | None = None,
        unreadable: Literal["refuse", "skip"] = "refuse",
        resize: Resize = "squash",
        labels: str | None = None,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        check_fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        self.root = Path(root).expanduser().absolute()
        self.size = _height_and_width(image_size)
        # Set where one only looks at the data: images of several sizes are then no error, but resized to this.
        self.size_if_several: tuple[int, int] | None = None
        self.color = color
        self.resize = resize
        self._largest_cut: float | None = None  # the largest share of an image that cropping cuts off, where known
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        if full_scale is not None and not 0 < full_scale < math.inf:
            raise UserError(f"full_scale must be greater than 0, the value that is white, got {full_scale}")
        self.full_scale = full_scale
        self.unreadable = unreadable
        self.labels = labels
        if labels is not None:
            self.targets = "multilabel"

    def setup(self, stage: str | None = None) -> None:
        is_new = self._splits is None
        super().setup(stage)
        if is_new and self.full_scale is None and isinstance(self.training, TensorSamples):
            highest = int(self.training.inputs.max())
            if highest < _DARK:
                log.warning(
                    "WARNING: the brightest of all training pixels is %d of 255; if these are 16-bit images that use "
                    "fewer bits, data.full_scale=4095, for example, says which value is white",
                    highest,
                )

    def description(self) -> dict[str, Any]:
        return super().description() | {"full_scale": self.full_scale, "resize": self.resize}

    def facts(self) -> list[str]:
        """See DataModule; also what was done to images whose sides have another ratio, and what else could be done."""
        if self.size is None or self._largest_cut == 0:
            return super().facts()
        most = "" if self._largest_cut is None else f", at most {self._largest_cut:.0%} of an image"
        done = {
            "crop": f"the ends of the longer side are cut off{most}",
            "pad": "black bars fill up the shorter side",
            "squash": "images are squashed, so that things change their shape",
        }
        others = " and ".join(how for how in done if how != self.resize)
        return [*super().facts(), f"resize={self.resize}: {done[self.resize]}; the other ways are {others}"]

    def read(self) -> Splits:
        if self.labels is None:
            class_names, files = find_files(self.root, _PICTURES)
        else:
            class_names, files = files_in_table(self.root, self.labels, _PICTURES)
        headers = self._headers(files) if self.size is None or self.color == "auto" else []
        self._settle(headers)
        if self.size is not None and headers:
            self._largest_cut = max(_share_cut_off(header, self.size) for _, header in headers)
        channels = 1 if self.color == "grey" else 3
        read = partial(
            read_image, num_channels=channels, size=self.size, full_scale=self.full_scale, resize=self.resize
        )
        reader = partial(FileSamples, read=read, skip=self.unreadable == "skip")
        fractions = (self.val_fraction, self.test_fraction)
        return whole_splits(self.root, _PICTURES, class_names, files, reader, *fractions)

    def _headers(self, files: dict[str, LabelledFiles]) -> list[tuple[Path, Header]]:
        """Return the headers of all images. Images without one are refused, or removed from `files` with a warning."""
        headers: list[tuple[Path, Header]] = []
        errors: list[UserError] = []
        for split, found in files.items():
            good = []
            for position, result in enumerate(_in_threads(_try_header, found.paths)):
                if isinstance(result, UserError):
                    errors.append(result)
                else:
                    good.append(position)
                    headers.append((found.paths[position], result))
            files[split] = found.only(good)
        if errors:
            total = len(headers) + len(errors)
            if self.unreadable == "refuse":
                raise UserError(
                    f"{len(errors)} of {total} images are unreadable: {joined_errors(errors)}; "
                    "remove them, or leave them out with data.unreadable=skip"
                )
            log.warning("WARNING: left out %d of %d images: %s", len(errors), total, joined_errors(errors))
        return headers

    def _settle(self, headers: Sequence[tuple[Path, Header]]) -> None:
        """Take size and colour from the images if the user did not set them."""
        if self.color == "auto":
            self.color = "rgb" if any(header.num_channels == 3 for _, header in headers) else "grey"
        if self.size is None and headers:
            first_path, first = headers[0]
            self.size = (first.height, first.width)
            for path, header in headers:
                if (header.height, header.width) != self.size:
                    if self.size_if_several is not None:
                        self.size = self.size_if_several
                        return
                    sizes = [
                        f"{one.height}x{one.width} ({where.relative_to(self.root)})"
                        for where, one in ((first_path, first), (path, header))
                    ]
                    raise UserError(
                        f"images must have one size, got {' and '.join(sizes)}; "
                        "data.image_size=64 or data.image_size=[48,64] resizes all"
                    )


def _height_and_width(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = [size, size] if isinstance(size, int) else list(size)
    if len(sides) != 2 or any(side < 1 for side in sides):
        raise UserError(f"image_size must be one positive number or [height,width], got {size}")
    return sides[0], sides[1]


def _share_cut_off(header: Header, size: tuple[int, int]) -> float:
    """The share of an image that has to be cut off so that its sides have the ratio of `size`."""
    ratio = header.width * size[0] / (header.height * size[1])
    cut = 1 - min(ratio, 1 / ratio)
    return cut if cut >= 0.005 else 0.0  # less is half a pixel, which is rounded


def _try_header(path: Path) -> Header | UserError:
    try:
        return read_header(path)
    except UserError as error:
        return error


def _in_threads(function: Callable[[Path], Result], paths: Sequence[Path]) -> list[Result]:
    """Read headers in threads, because that is mostly waiting for the disk."""
    with ThreadPool(8) as pool:
        results = pool.imap(function, paths, chunksize=64)
        is_silent = not sys.stderr.isatty()
        return list(
            tqdm(results, total=len(paths), desc="reading image headers", leave=False, delay=1, disable=is_silent)
        )
