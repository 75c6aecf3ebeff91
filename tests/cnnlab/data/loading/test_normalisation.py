"""Mean and deviation per channel, against numpy."""

import numpy as np
import pytest
import torch

from cnnlab.data.loading.normalisation import mean_and_std


@pytest.mark.parametrize("shape", [(50, 1, 28, 28), (40, 3, 9, 7), (60, 2, 31), (10, 2, 5, 6, 7)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_per_channel_as_numpy_computes_it(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    values[:, 0] //= 3
    inputs = values if dtype == torch.uint8 else values / 100 - 1
    scale = 1 / 255 if dtype == torch.uint8 else 1.0
    mean, std = mean_and_std(inputs, scale)
    axes = (0, *range(2, len(shape)))
    expected = inputs.numpy().astype(np.float64) * scale
    np.testing.assert_allclose(mean, expected.mean(axes), rtol=1e-9)
    np.testing.assert_allclose(std, expected.std(axes), rtol=1e-9)


@pytest.mark.parametrize("value", [torch.tensor(7, dtype=torch.uint8), torch.tensor(0.5)])
def test_constant_channel_is_left_at_zero_by_normalising(value: torch.Tensor) -> None:
    inputs = value.expand(5, 1, 4, 4)
    mean, std = mean_and_std(inputs, 1.0)
    assert (mean, std) == ((value.item(),), (1.0,))


def test_a_few_thousand_images_lose_no_precision() -> None:
    inputs = torch.full((5000, 1, 28, 28), 200, dtype=torch.uint8)
    inputs[0] = 0
    mean, _ = mean_and_std(inputs, 1 / 255)
    assert mean[0] == pytest.approx(200 / 255 * 4999 / 5000, rel=1e-12)
