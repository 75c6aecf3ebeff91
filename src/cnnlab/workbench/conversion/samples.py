"""Samples as they were found, before they are split and written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cnnlab.errors import UserError

Array = NDArray[Any]

# What the splits are called in the names of files, arrays and columns.
_SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation", "publictest")}
_SPLITS |= {"test": ("test", "testing", "t10k", "privatetest")}
_SMALLEST_SIDE = 8  # of images that arrive as rows of pixels: shorter rows are measurements
_WHITE = 255


@dataclass(frozen=True)
class Found:
    """The samples of one split.

    Attributes:
        x: (N, …).
        y: (N,) classes as numbers or words, (N, K) zeros and ones, or real values; None: without labels.
        names: of the classes, in the order of their numbers, or of the K columns; None: not known.
    """

    x: Array
    y: Array | None
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.x)


def split_called(name: str) -> str | None:
    """The split that a name tells: train, val or test; None: it tells none."""
    words = words_in(name)
    return next((split for split, called in _SPLITS.items() if any(word in called for word in words)), None)


def words_in(name: str) -> list[str]:
    """train_32x32.mat and x-train have the words train, 32x32, mat, x, train."""
    return "".join(letter if letter.isalnum() else " " for letter in name.lower()).split()


def checked(found: Found, split: str) -> Found:
    """Return samples as a reader has found them, if they are finite real numbers, with a label for each or none.

    Raises:
        UserError: if they are not.
    """
    x, y = found.x, found.y
    if x.ndim < 1 or not x.size:
        raise UserError(f"there are no {split} samples: an array of them is empty")
    if x.dtype.kind not in "buif":
        raise UserError(f"the {split} samples must be real numbers, got values of the type {x.dtype}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise UserError(f"{np.count_nonzero(~np.isfinite(x)):,} values of the {split} samples are missing or infinite")
    if y is not None and (y.ndim < 1 or len(y) != len(x)):
        raise UserError(f"expected as many labels as {split} samples, {len(x):,}, got {len(y) if y.ndim else 1:,}")
    return found


def shaped(found: Found, shape: tuple[int, ...] | None) -> Found:
    """Give samples the shape that was asked for, or that of the images whose rows of pixels they seem to be.

    Rows of 784 or 3,072 whole numbers from 0 to 255, for example, are images of 28x28 or 32x32x3.

    Raises:
        UserError: for a shape that does not fit.
    """
    x = found.x
    if shape is not None:
        if x[0].size != int(np.prod(shape)):
            raise UserError(f"--shape {'x'.join(map(str, shape))} does not fit: a sample has {x[0].size:,} numbers")
        x = x.reshape(len(x), *shape)
    elif x.ndim == 2 and _are_pixels(x) and (sides := _sides(x.shape[1])):
        x = x.reshape(len(x), *sides)
    return replace(found, x=x.astype(np.uint8) if x.ndim > 2 and _are_pixels(x) else _as_floats(x))


def _sides(num_values: int) -> tuple[int, ...] | None:
    for channels in ((), (3,)):
        side = round((num_values / int(np.prod(channels, dtype=int))) ** 0.5)
        if side >= _SMALLEST_SIDE and side**2 * int(np.prod(channels, dtype=int)) == num_values:
            return (side, side, *channels)
    return None


def _are_pixels(x: Array) -> bool:
    """Whether all values are whole numbers from 0 to 255, and some are more than 1."""
    if x.dtype == np.uint8:
        return True
    return bool(x.dtype.kind in "iuf" and x.min() >= 0 and 1 < x.max() <= _WHITE and (x == np.round(x)).all())


def _as_floats(x: Array) -> Array:
    return x if x.dtype == np.uint8 else x.astype(np.float32)


def with_classes(splits: Mapping[str, Found]) -> tuple[dict[str, Found], bool]:
    """Number the classes of all splits alike, and tell whether the labels are classes; otherwise they are values.

    Words, and numbers with gaps or a start other than 0, become numbers with names.

    Args:
        splits: with labels.

    Raises:
        UserError: for labels that are missing.
    """
    targets = {split: _column(found.y, split) for split, found in splits.items() if found.y is not None}
    if any(y.ndim == 2 for y in targets.values()):  # several zeros and ones for each sample, or several values
        return {split: replace(splits[split], y=_small(y)) for split, y in targets.items()}, False
    if any(y.dtype.kind == "f" and (y != np.round(y)).any() for y in targets.values()):
        return {split: replace(splits[split], y=y.astype(np.float32)) for split, y in targets.items()}, False
    are_words = any(y.dtype.kind in "OUS" for y in targets.values())
    targets = {split: y.astype(str) if are_words else y.astype(np.int64) for split, y in targets.items()}
    values = sorted(np.unique(np.concatenate(list(targets.values()))).tolist(), key=in_order)
    names = next((found.names for found in splits.values() if found.names), None)
    if names is not None and not are_words and max(values) < len(names):
        values = list(range(len(names)))
    else:
        names = None if values == list(range(len(values))) else tuple(map(str, values))
    position = {value: number for number, value in enumerate(values)}
    numbers = {split: np.array([position[value] for value in y.tolist()], np.int64) for split, y in targets.items()}
    return {split: replace(splits[split], y=y, names=names) for split, y in numbers.items()}, True


def in_order(label: object) -> tuple[bool, int, str]:
    """By this key numbers are sorted by their values, also as words, and other words by the alphabet."""
    text = str(label)
    is_number = text.removeprefix("-").isdecimal()
    return not is_number, int(text) if is_number else 0, text


def _column(y: Array, split: str) -> Array:
    """(N,) labels; (N, K) only if there are several columns."""
    missing = ~np.isfinite(y) if y.dtype.kind == "f" else pd.isna(y)
    if missing.any():
        raise UserError(f"{np.count_nonzero(missing):,} labels of the {split} samples are missing")
    flat = y.reshape(len(y), -1)
    return flat[:, 0] if flat.shape[1] == 1 else flat


def _small(y: Array) -> Array:
    return y.astype(np.uint8) if np.isin(y, (0, 1)).all() else y.astype(np.float32)
