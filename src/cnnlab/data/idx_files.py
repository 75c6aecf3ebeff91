"""Check and read IDX files, the format of MNIST and its relatives.

Format: two zero bytes, a type code (8: uint8), the number of dims, each dim as a big-endian int32, the data.
"""

import hashlib
import math
import struct
from pathlib import Path

from torch import Tensor
from torchvision.datasets.mnist import read_image_file, read_label_file

from cnnlab.data.labelled import Labelled
from cnnlab.errors import UserError


def read_labelled(images_path: Path, labels_path: Path) -> Labelled:
    """Read images as (N, 1, H, W) uint8 and labels as (N,) int64 from two checked files."""
    images: Tensor = read_image_file(str(images_path))
    labels: Tensor = read_label_file(str(labels_path))
    return Labelled(images.unsqueeze(1), labels)


def check(path: Path, num_items: int, md5: str | None) -> str:
    """Check magic number, counts, length and, where known, md5 of one file; return its md5.

    Raises:
        UserError: naming the file, what was expected and what came.
    """
    is_images = "images" in path.name
    sizes = (num_items, 28, 28) if is_images else (num_items,)
    content = path.read_bytes()
    expected_header = struct.pack(f">HBB{len(sizes)}i", 0, 8, len(sizes), *sizes)
    expected_length = len(expected_header) + math.prod(sizes)
    remedy = "delete the file to download it again, or put the original in its place"
    if content[: len(expected_header)] != expected_header:
        came = content[: len(expected_header)].hex(" ", -4) or "nothing"
        raise UserError(
            f"{path} is not the file of {num_items} {'28x28 images' if is_images else 'labels'} it should be: "
            f"expected the header {expected_header.hex(' ', -4)}, got {came}; {remedy}"
        )
    if len(content) != expected_length:
        raise UserError(f"{path} is damaged: expected {expected_length} bytes, got {len(content)}; {remedy}")
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise UserError(f"{path} has been altered: expected md5 {md5}, got {found}; {remedy}")
    return found
