"""Check and read IDX files, the format of MNIST and its relatives.

Format: two zero bytes, a type code (8: uint8), the number of dims, each dim as a big-endian int32, the data.
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnnlab.data.samples import TensorSamples
from cnnlab.errors import UserError

_REMEDY = "delete the file to download it again, or put the original in its place"


def find(folder: Path, name: str) -> Path | None:
    """Return the file of that name, or the packed one as it is downloaded, <name>.gz."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_labelled(images_path: Path, labels_path: Path) -> TensorSamples:
    """Read images as (N, 1, H, W) uint8 and labels as (N,) int64 from two checked files, packed or not."""
    return TensorSamples(_array(images_path).unsqueeze(1), _array(labels_path).long())


def check(path: Path, num_items: int, md5: str | None) -> str:
    """Check magic number, counts, length and, where known, md5 of one file; return the md5 of its unpacked content.

    Raises:
        UserError: naming the file, what was expected and what was found.
    """
    is_images = "images" in path.name
    sizes = (num_items, 28, 28) if is_images else (num_items,)
    content = _content(path)
    expected_header = struct.pack(f">HBB{len(sizes)}i", 0, 8, len(sizes), *sizes)
    expected_length = len(expected_header) + math.prod(sizes)
    if content[: len(expected_header)] != expected_header:
        came = content[: len(expected_header)].hex(" ", -4) or "nothing"
        raise UserError(
            f"{path} is not the file of {num_items} {'28x28 images' if is_images else 'labels'} it should be: "
            f"expected the header {expected_header.hex(' ', -4)}, got {came}; {_REMEDY}"
        )
    if len(content) != expected_length:
        raise UserError(f"{path} is damaged: expected {expected_length} bytes, got {len(content)}; {_REMEDY}")
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise UserError(f"{path} has been altered: expected md5 {md5}, got {found}; {_REMEDY}")
    return found


def _content(path: Path) -> bytes:
    stored = path.read_bytes()
    if path.suffix != ".gz":
        return stored
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged: it cannot be unpacked ({error}); {_REMEDY}") from error


def _array(path: Path) -> Tensor:
    content = bytearray(_content(path))  # writable, as torch expects of a tensor's memory
    num_dims = content[3]
    sizes = struct.unpack_from(f">{num_dims}i", content, 4)
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * num_dims).reshape(sizes))
