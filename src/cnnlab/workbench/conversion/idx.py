"""Reads IDX files of any type, packed or not: MNIST and its relatives, QMNIST among them."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cnnlab.errors import UserError
from cnnlab.workbench.conversion.named_arrays import paired
from cnnlab.workbench.conversion.samples import Array, Found

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def is_idx(path: Path) -> bool:
    """Whether a file is one by its name: train-images-idx3-ubyte.gz."""
    return "idx" in path.name or "ubyte" in path.name


def read(paths: Iterable[Path]) -> dict[str, Found]:
    """The samples of pairs of files, images and labels.

    QMNIST's labels have eight columns, of which the first is the digit.
    """
    arrays = {path.name: _array(path) for path in paths}
    for name, array in arrays.items():
        if "label" in name and array.ndim == 2:
            arrays[name] = array[:, 0]
    return paired(arrays, " and ".join(arrays))


def _array(path: Path) -> Array:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, code, num_dims = struct.unpack_from(">HBB", content)
        sizes = struct.unpack_from(f">{num_dims}i", content, 4)
        values = np.frombuffer(content, _TYPES[code], offset=4 + 4 * num_dims)
    except (OSError, EOFError, zlib.error, struct.error, KeyError, ValueError) as error:
        raise UserError(f"{path} is no IDX file, or is damaged ({error})") from error
    if zeros or min(sizes, default=0) < 0 or math.prod(sizes) != len(values):
        shape = "x".join(map(str, sizes))
        raise UserError(f"{path} is no IDX file, or is damaged: its header says {shape}, and it holds {len(values):,}")
    return values.reshape(sizes).astype(values.dtype.newbyteorder("="))
