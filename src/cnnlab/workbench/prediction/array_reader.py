"""Reads arrays for a network that was trained on series or volumes."""

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.errors import UserError
from cnnlab.workbench.inspection.layers import joined_sizes
from cnnlab.workbench.inspection.sample import Appearance, thumbnail
from cnnlab.workbench.prediction import contact_sheet
from cnnlab.workbench.prediction.reader import Prepared, Reader


class ArrayReader(Reader):
    """Takes samples from NumPy's .npy and .npz files, as they are: one sample, or many along the first dim.

    Args:
        data: the description of the network's data, see DataModule.description.
    """

    what = "arrays"
    formats = "NumPy's .npy and .npz"
    request = "inputs= is missing: name a file of arrays, a folder, a glob or a zip archive"

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._shape = tuple(data["input_shape"])
        self._takes_bytes = data["scale"] == 1 / 255
        self._appearance = Appearance.of(data)

    def accepts(self, name: str) -> bool:
        return name.lower().endswith((".npy", ".npz"))

    def read(self, source: Path | bytes, name: str) -> Prepared:
        _, sample = next(self.read_all(source, name))
        return sample

    def read_all(self, source: Path | bytes, name: str) -> Iterator[tuple[str, Prepared]]:
        """Each sample of a file with its name, which tells its number where there are several.

        Of an npz file all arrays count that have the samples' shape.

        Raises:
            UserError: if there are none, or they hold other numbers than those of the training.
        """
        arrays = _arrays(source, name)
        fitting = {key: found for key, array in arrays.items() if (found := self._samples(array)) is not None}
        if not fitting:
            came = ", ".join(f"{key} {joined_sizes(a.shape) or 'a number'}".strip() for key, a in arrays.items())
            raise UserError(
                f"{name}: expected samples of {self._expected()}, or many of them along the first dim; "
                f"got {came or 'no arrays'}"
            )
        for key, samples in fitting.items():
            label = f"{name}/{key}" if len(arrays) > 1 else name
            self._check(samples, label)
            for number, sample in enumerate(samples):
                yield label if len(samples) == 1 else f"{label}[{number}]", self._prepared(sample)

    def _samples(self, array: NDArray[Any]) -> NDArray[Any] | None:
        """The array as (N, C, *spatial), or None if its shape does not fit. One channel may be left out."""
        channels, *spatial = self._shape
        layouts = [(self._shape, None), ((*spatial, channels), -1)]
        if channels == 1:
            layouts.append((tuple(spatial), 0))
        for shape, channel_axis in layouts:
            if array.shape[-len(shape) :] != shape or array.ndim not in (len(shape), len(shape) + 1):
                continue
            samples = array if array.ndim > len(shape) else array[None]
            if channel_axis == -1:
                return np.moveaxis(samples, -1, 1)
            return samples if channel_axis is None else samples[:, None]
        return None

    def _check(self, samples: NDArray[Any], label: str) -> None:
        if not len(samples):
            raise UserError(f"{label}: there is no sample in it")
        if self._takes_bytes and samples.dtype != np.uint8:
            raise UserError(f"{label}: expected numbers from 0 to 255 of the type uint8, got {samples.dtype}")
        if samples.dtype.kind not in "buif":
            raise UserError(f"{label}: expected numbers, got {samples.dtype}")
        if not np.isfinite(samples).all():
            raise UserError(f"{label}: it holds NaN or infinity")

    def _prepared(self, sample: NDArray[Any]) -> Prepared:
        stored: NDArray[Any] = np.ascontiguousarray(sample, np.uint8 if self._takes_bytes else np.float32)
        shown: NDArray[np.floating[Any]] = stored.astype(np.float32) / (255 if self._takes_bytes else 1)
        picture = thumbnail(shown, self._appearance, contact_sheet.PICTURE_SIDE)
        return Prepared(picture, stored, seen=_shades(shown))

    def _expected(self) -> str:
        channels, *spatial = self._shape
        whole = joined_sizes(self._shape)
        return f"{joined_sizes(spatial)} (or {whole})" if channels == 1 else whole


def _arrays(source: Path | bytes, name: str) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by their names; the one of an npy file has an empty name."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            if file.read(6) != b"\x93NUMPY" and not zipfile.is_zipfile(file):
                raise UserError(f"{name} is no NumPy file; expected an array as numpy.save or numpy.savez writes it")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            return {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = "it holds Python objects, which only running code could read" if "pickle" in str(error) else str(error)
        raise UserError(f"{name} cannot be read as a NumPy file ({' '.join(reason.split())})") from error


def _shades(sample: NDArray[Any]) -> NDArray[np.uint8]:
    """The numbers themselves as shades (1, H, W): a row per channel of a series, all slices of a volume."""
    low, high = float(sample.min()), float(sample.max())
    grey = ((sample - low) / ((high - low) or 1.0) * 255).round().astype(np.uint8)
    if sample.ndim == 2:
        return grey.repeat(max(1, grey.shape[1] // (4 * len(grey))), axis=0)[None]
    slices = grey[0]
    columns = int(np.ceil(np.sqrt(len(slices))))
    rows = -(-len(slices) // columns)
    page = np.zeros((rows * columns, *slices.shape[1:]), np.uint8)
    page[: len(slices)] = slices
    height, width = slices.shape[1:]
    return page.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(1, rows * height, columns * width)
