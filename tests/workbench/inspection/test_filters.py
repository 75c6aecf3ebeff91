"""Kernels as pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from cnnlab.workbench.inspection.activations import Weights
from cnnlab.workbench.inspection.filters_figure import draw, tile


def test_a_column_per_output_and_a_row_per_input() -> None:
    kernels = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    tiled = tile(kernels)
    assert tiled.shape == (3 * 2 + 2, 2 * 2 + 1)
    assert np.array_equal(tiled[:2, 3:], kernels[1, 0])
    assert np.array_equal(tiled[6:, :2], kernels[0, 2])
    assert np.isnan(tiled[2]).all()
    assert np.isnan(tiled[:, 2]).all()


def test_many_outputs_of_a_single_input_stand_in_rows_of_twelve() -> None:
    kernels = np.arange(14 * 4, dtype=np.float32).reshape(14, 1, 2, 2)
    tiled = tile(kernels)
    assert tiled.shape == (2 * 2 + 1, 12 * 2 + 11)
    assert np.array_equal(tiled[:2, 33:], kernels[11, 0])
    assert np.array_equal(tiled[3:, 3:5], kernels[13, 0])
    assert np.isnan(tiled[3:, 6:]).all()


@pytest.mark.parametrize("shape", [(10, 1, 5), (64, 32, 3, 3), (4, 2, 3, 3, 3), (10, 1, 28, 28), (2, 1, 1, 1)])
def test_kernels_of_any_dims(shape: tuple[int, ...]) -> None:
    kernels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    png = draw([Weights("features.0", "Conv", kernels)] * 8, "title")
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.width == 1120
        assert picture.height < 5000


def test_negative_is_orange_and_positive_purple() -> None:
    kernels = np.stack([np.full((1, 3, 3), -1.0), np.full((1, 3, 3), 1.0)]).astype(np.float32)
    with Image.open(io.BytesIO(draw([Weights("conv", "Conv2d", kernels)], "title"))) as picture:
        pixels = np.array(picture.convert("RGB")).astype(int)
    orange = np.argwhere(pixels[..., 0] > pixels[..., 2] + 60)
    purple = np.argwhere(pixels[..., 2] > pixels[..., 1] + 60)
    assert orange[:, 1].max() < purple[:, 1].min()
