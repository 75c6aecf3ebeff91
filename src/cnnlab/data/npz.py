"""Reads data of your own from one NumPy file."""

import logging
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from cnnlab.data.datamodule import DataModule
from cnnlab.data.files.channels import Channels, channels_first, find_channels
from cnnlab.data.files.class_labels import class_names_of, class_numbers, label_columns, words
from cnnlab.data.files.memory import require_memory
from cnnlab.data.files.npz_file import MappedArray, NpzFile
from cnnlab.data.inputs import as_stored, kind, num_not_finite
from cnnlab.data.lazy_samples import LazySamples
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Samples, Splits
from cnnlab.errors import UserError, did_you_mean

log = logging.getLogger(__name__)

_REQUIRED = ("x_train", "y_train", "x_test", "y_test")
_SMALLEST_SIDE = 8  # of scikit-learn's digits


class Npz(DataModule):
    """Arrays x_train, y_train, x_test, y_test; x_val and y_val or else a stratified part of the training samples.

    Inputs are (N, *spatial) or have channels first or last; uint8 is taken for images, anything else as it is. Labels
    are (N,): numbers from 0, or words; an array class_names names the numbers. With targets=multilabel y is
    (N, num_labels) of 0 and 1, for classifier=multilabel; with targets=values (N,) or (N, num_values) of real numbers,
    for classifier=regression. class_names then names the columns.

    Args:
        path: the .npz file. With in_memory=false it must not be compressed.
        channels: where x has them; auto: a first or last dim of 1 to 4.
        targets: what y holds.
        val_fraction: of the training samples, where there is no x_val.
        **loading: see DataModule.
    """

    def __init__(
        self,
        path: str,
        channels: Literal["auto", "first", "last", "none"] = "auto",
        targets: Literal["classes", "multilabel", "values"] = "classes",
        val_fraction: float = 0.1,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        if not 0 < val_fraction <= 0.5:
            raise UserError(f"val_fraction must be greater than 0 and at most 0.5, got {val_fraction}")
        self.path = Path(path).expanduser().absolute()
        self.channels = channels
        self.targets = targets
        self.val_fraction = val_fraction

    def read(self) -> Splits:
        file = NpzFile(self.path)
        splits = _splits_of(file)
        sample_shape = _check_shapes(file, splits)
        layout: Channels = find_channels(sample_shape) if self.channels == "auto" else self.channels
        if self.channels == "auto" and (sides := _sides_if_flattened(sample_shape)):
            log.warning(
                "WARNING: x_train, (N, %d), is taken for signals of that length; if these are flattened images, save "
                "them as x.reshape(-1, %s)",
                sample_shape[0],
                ", ".join(map(str, sides)),
            )
        targets, class_names = self._read_targets(file, splits)
        _, training = self._samples(file, "train", layout, targets["train"]).split(0)
        if "val" in splits:
            _, validation = self._samples(file, "val", layout, targets["val"]).split(0)
        else:
            validation, training = training.split(max(1, round(self.val_fraction * len(training))))
        return Splits(
            dataset=self.path.stem,
            class_names=class_names,
            training=training,
            validation=validation,
            test=self._samples(file, "test", layout, targets["test"]),
            checksums=file.checksums(),
        )

    def _samples(self, file: NpzFile, split: str, layout: Channels, targets: Tensor) -> Samples:
        name = f"x_{split}"
        if not self.in_memory:
            mapped = _MappedSamples(file.map(name), layout, f"{name} in {file.path}")
            return LazySamples(mapped, targets, torch.arange(len(targets)))
        shape, dtype = file.header(name)
        require_memory(math.prod(shape) * (1 if dtype == np.uint8 else 4), name)
        array = channels_first(as_stored(file.read(name)), layout)
        samples = TensorSamples(torch.from_numpy(np.ascontiguousarray(array)), targets)
        if num_bad := num_not_finite(samples.inputs):
            raise UserError(f"{name} in {file.path} has {num_bad} samples with NaN or infinity")
        return samples

    def _read_targets(self, file: NpzFile, splits: list[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Return the targets of every split, and the names of the classes or values."""
        names: tuple[str, ...] | None = None
        if "class_names" in file.names:
            names = tuple(words(_column("class_names", file.read_text("class_names"))).tolist())
        if self.targets != "classes":
            return self._read_columns(file, splits, names)
        labels = {split: _column(f"y_{split}", file.read(f"y_{split}", "buifUS")) for split in splits}
        found = class_names_of("y_train", labels["train"])
        if len(found) < 2:
            raise UserError(f"y_train must hold at least two classes, got only {found[0]!r}")
        if names is None or labels["train"].dtype.kind in "US":
            names = found
        _check_number("class_names", len(names), "labels in y_train", len(found))
        return {split: class_numbers(f"y_{split}", array, names) for split, array in labels.items()}, names

    def _read_columns(
        self, file: NpzFile, splits: list[str], names: tuple[str, ...] | None
    ) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Return labels or values, (N, number) of each split, and the names of the columns."""
        are_values = self.targets == "values"
        convert = _values if are_values else label_columns
        columns = {split: convert(f"y_{split}", file.read(f"y_{split}")) for split in splits}
        number = columns["train"].shape[1]
        for split, found in columns.items():
            if found.shape[1] != number:
                raise UserError(f"y_{split} must have {number} columns like y_train, got {found.shape[1]}")
        names = names or tuple(f"value_{i}" if are_values else str(i) for i in range(number))
        _check_number("class_names", len(names), "values" if are_values else "labels in y_train", number)
        return columns, names


class _MappedSamples(Dataset[tuple[NDArray[Any]]]):
    def __init__(self, array: MappedArray, layout: Channels, name: str) -> None:
        self.array, self.layout, self.name = array, layout, name

    def __getitem__(self, index: int) -> tuple[NDArray[Any]]:
        return (np.ascontiguousarray(channels_first(self.array[index], self.layout, num_batch_dims=0)),)


def _splits_of(file: NpzFile) -> list[str]:
    missing = [name for name in _REQUIRED if name not in file.names]
    if ("x_val" in file.names) != ("y_val" in file.names):
        missing.append("y_val" if "x_val" in file.names else "x_val")
    if missing:
        hint = next((found for name in missing if (found := did_you_mean(name, file.names))), "")
        # only: workbench
        if "train_images" in file.names:  # as MedMNIST calls them
            hint = f"; python scripts/convert.py {file.path} {file.path.stem}_xy.npz renames its arrays"
        # end only
        raise UserError(
            f"{file.path} needs x_train, y_train, x_test and y_test (x_val and y_val if you like); "
            f"missing: {', '.join(missing)}; it holds {', '.join(file.names) or 'nothing'}{hint}"
        )
    return ["train", "test", *(["val"] if "x_val" in file.names else [])]


def _check_shapes(file: NpzFile, splits: list[str]) -> tuple[int, ...]:
    """Compare the arrays' headers before anything large is read; return the shape of one sample as stored."""
    for split in splits:
        file.check_type(f"x_{split}")
    shapes = {name: file.header(name)[0] for split in splits for name in (f"x_{split}", f"y_{split}")}
    train_shape = shapes["x_train"][1:]
    if not train_shape:
        raise UserError(f"x_train must be (N, …) with at least one dim per sample, got {_text(shapes['x_train'])}")
    for split in splits:
        x_shape, y_shape = shapes[f"x_{split}"], shapes[f"y_{split}"]
        if x_shape[1:] != train_shape:
            raise UserError(f"x_{split} must have samples like x_train, {_text(train_shape)}, got {_text(x_shape[1:])}")
        if x_shape[0] != (y_shape or (0,))[0]:
            raise UserError(f"x_{split} and y_{split} must be equally long, got {_text(x_shape)} and {_text(y_shape)}")
        if 0 in x_shape:
            raise UserError(f"x_{split} is empty: {_text(x_shape)}")
        types = [file.header(name)[1] for name in ("x_train", f"x_{split}")]
        if kind(types[0]) != kind(types[1]):
            raise UserError(
                f"x_{split} must be of the type of x_train, {types[0]}, got {types[1]}: uint8 is taken for 0 to 255, "
                "anything else as it is, so save all of them with one type"
            )
    return train_shape


def _sides_if_flattened(sample_shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return height, width and channels of a square grey or RGB image of as many pixels as a sample has numbers."""
    if len(sample_shape) != 1:
        return None
    for num_channels in (1, 3):
        side = math.isqrt(sample_shape[0] // num_channels)
        if side >= _SMALLEST_SIDE and num_channels * side**2 == sample_shape[0]:
            return (side, side) if num_channels == 1 else (side, side, 3)
    return None


def _column(name: str, labels: NDArray[Any]) -> NDArray[Any]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    if labels.ndim != 1:
        one_hot = (
            "; for one-hot labels save y.argmax(axis=1), for several labels of a sample give data.targets=multilabel"
            if labels.ndim == 2
            else ""
        )
        raise UserError(f"{name} must be (N,), got {_text(labels.shape)}{one_hot}")
    return labels


def _values(name: str, values: NDArray[Any]) -> Tensor:
    if values.ndim > 2:
        raise UserError(f"{name} must be (N,) or (N, num_values), got {_text(values.shape)}")
    found = torch.from_numpy(as_stored(values.reshape(len(values), -1)).astype(np.float32))
    if num_not_finite(found):
        raise UserError(f"{name} holds NaN or infinity")
    return found


def _check_number(name: str, number: int, counted: str, expected: int) -> None:
    if number != expected:
        raise UserError(f"{name} must hold as many names as there are {counted}, {expected}, got {number}")


def _text(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
