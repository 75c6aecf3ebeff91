"""A file that is not what it should be is named, with what was expected and what came."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from offline import idx_bytes

from cnnlab.data.files.idx_files import check, read_labelled
from cnnlab.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9], dtype=np.uint8)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(("name", "array"), [("train-images-idx3-ubyte", IMAGES), ("train-labels-idx1-ubyte", LABELS)])
def test_good_file_passes_and_its_md5_is_returned(tmp_path: Path, name: str, array: np.ndarray) -> None:
    content = idx_bytes(array)
    (tmp_path / name).write_bytes(content)
    assert check(tmp_path / name, 6, md5=None) == md5(content)
    assert check(tmp_path / name, 6, md5=md5(content)) == md5(content)


def test_images_and_labels_are_read_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(idx_bytes(IMAGES))
    (tmp_path / "labels").write_bytes(idx_bytes(LABELS))
    data = read_labelled(tmp_path / "images", tmp_path / "labels")
    assert (data.inputs.dtype, data.inputs.shape) == (torch.uint8, (6, 1, 28, 28))
    assert (data.labels.dtype, data.labels.tolist()) == (torch.int64, LABELS.tolist())
    assert np.array_equal(data.inputs[:, 0].numpy(), IMAGES)


WHOLE = idx_bytes(IMAGES)


# The header: two zero bytes, 08 for uint8, the number of dims, then every size in four bytes.
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE[:-1], f"is damaged: expected {len(WHOLE)} bytes, got {len(WHOLE) - 1}"),
        (WHOLE + b"x", f"is damaged: expected {len(WHOLE)} bytes, got {len(WHOLE) + 1}"),
        (WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]), f"has been altered: expected md5 {md5(WHOLE)}, got "),
        (b"", "6 28x28 images it should be: expected the header 00000803 00000006 0000001c 0000001c, got nothing"),
        (WHOLE[:6], "expected the header 00000803 00000006 0000001c 0000001c, got 00000803 0000"),
        (b"\x1f\x8b" + WHOLE[2:], "expected the header 00000803 .*, got 1f8b0803 00000006"),
        (idx_bytes(IMAGES[:5]), "of 6 28x28 images .*00000803 00000006 .*, got 00000803 00000005"),
        (idx_bytes(IMAGES[:, 1:]), "got 00000803 00000006 0000001b 0000001c"),
        (idx_bytes(LABELS), "expected the header 00000803 .*, got 00000801 00000006"),
    ],
    ids=["cut", "longer", "altered", "empty", "cut in the header", "gzip", "count", "size", "labels"],
)
def test_bad_file_is_named_with_what_was_expected_and_what_came(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))} .*{message}.*; delete the file to download it again"):
        check(path, 6, md5(WHOLE))


def test_labels_file_with_images_in_it(tmp_path: Path) -> None:
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(WHOLE)
    with pytest.raises(UserError, match="not the file of 6 labels .* header 00000801 00000006, got 00000803 00000006"):
        check(path, 6, None)
