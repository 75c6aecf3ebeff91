"""Arrays as files to predict: one sample or many, in NumPy's formats, and one line for whatever else comes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.workbench.prediction import sources
from cnnlab.workbench.prediction.array_reader import ArrayReader
from cnnlab.workbench.prediction.predictor import reader_for

SERIES = {"kind": "series", "input_shape": [1, 40], "scale": 1.0, "preprocessing": "plain"}
STEREO = {**SERIES, "input_shape": [2, 40]}
VOLUME = {"kind": "volume", "input_shape": [1, 6, 7, 8], "scale": 1 / 255, "preprocessing": "plain"}


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def voxels(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("data", "what"), [(SERIES, "arrays"), (VOLUME, "arrays")])
def test_series_and_volumes_are_read_from_arrays(data: dict[str, Any], what: str) -> None:
    reader = reader_for(data)
    assert reader.what == what
    assert [reader.accepts(name) for name in ("a.npy", "b.NPZ", "c.png")] == [True, True, False]


@pytest.mark.parametrize(
    ("data", "shape", "number"),
    [
        (SERIES, (40,), 1),
        (SERIES, (1, 40), 1),
        (SERIES, (5, 40), 5),
        (SERIES, (5, 1, 40), 5),
        (SERIES, (5, 40, 1), 5),
        (STEREO, (2, 40), 1),
        (STEREO, (40, 2), 1),
        (STEREO, (3, 2, 40), 3),
        (VOLUME, (6, 7, 8), 1),
        (VOLUME, (4, 6, 7, 8), 4),
        (VOLUME, (4, 1, 6, 7, 8), 4),
    ],
)
def test_one_sample_or_many_with_or_without_the_channel(
    data: dict[str, Any], shape: tuple[int, ...], number: int
) -> None:
    array = voxels(*shape) if data is VOLUME else np.random.default_rng(0).normal(size=shape)
    found = list(ArrayReader(data).read_all(npy(array), "own.npy"))
    names = ["own.npy"] if number == 1 else [f"own.npy[{i}]" for i in range(number)]
    assert [name for name, _ in found] == names
    for _, prepared in found:
        assert list(prepared.sample.shape) == data["input_shape"]
        assert prepared.sample.dtype == (np.uint8 if data is VOLUME else np.float32)
        assert prepared.picture.shape == (3, 112, 112)
        assert prepared.seen.shape[0] == 1
    if shape == (40, 2):
        assert np.array_equal(found[0][1].sample, array.T.astype(np.float32))
    if shape == (4, 6, 7, 8):
        assert np.array_equal(found[3][1].sample[0], array[3])


def test_of_an_archive_all_arrays_with_samples_count(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(npz(x=voxels(2, 6, 7, 8), y=np.arange(2), x_test=voxels(1, 6, 7, 8)))
    found = sources.find(str(path), ArrayReader(VOLUME))
    assert found.names == ["set.npz"]
    names = [name for name, _ in ArrayReader(VOLUME).read_all(path, "set.npz")]
    assert names == ["set.npz/x[0]", "set.npz/x[1]", "set.npz/x_test"]


def damaged() -> bytes:
    """A compressed archive in the middle of which bytes have changed."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.random.default_rng(0).normal(size=40))
    content = bytearray(buffer.getvalue())
    content[60:90] = b"\xff" * 30
    return bytes(content)


@pytest.mark.parametrize(
    ("data", "content", "message"),
    [
        (
            VOLUME,
            npy(voxels(12, 12, 12)),
            r"bad: expected samples of 6x7x8 \(or 1x6x7x8\), or many .*; got 12x12x12$",
        ),
        (VOLUME, npz(a=voxels(3, 3), b=np.arange(2)), r"bad: expected samples of .*; got a 3x3, b 2$"),
        (VOLUME, npz(), r"got no arrays$"),
        (STEREO, npy(np.zeros(40)), r"expected samples of 2x40, or many of them along the first dim; got 40$"),
        (VOLUME, npy(np.zeros((6, 7, 8))), r"bad: expected numbers from 0 to 255 of the type uint8, got float64$"),
        (SERIES, npy(np.full(40, np.nan)), r"bad: it holds NaN or infinity$"),
        (SERIES, npy(np.zeros((0, 40))), r"bad: there is no sample in it$"),
        (SERIES, npy(np.array(["a"] * 40)), r"bad: expected numbers, got <U1$"),
        (SERIES, npy(np.array([None] * 40)), r"bad cannot be read as a NumPy file \(it holds Python objects"),
        (SERIES, b"no array", r"bad is no NumPy file; expected an array as numpy.save or numpy.savez writes it$"),
        (SERIES, b"", r"bad is no NumPy file"),
        (SERIES, npz(x=np.zeros(40))[:-30], r"bad is no NumPy file"),
        (SERIES, npy(np.zeros(40))[:-30], r"bad cannot be read as a NumPy file"),
        (SERIES, damaged(), r"bad cannot be read as a NumPy file \(Error -3 while decompressing"),
    ],
)
def test_what_holds_no_such_samples_is_told_in_one_line(data: dict[str, Any], content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        list(ArrayReader(data).read_all(content, "bad"))
    assert "\n" not in str(caught.value)
