"""Converts stored values to the network's inputs, with zero mean and unit deviation per channel."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Normalise:
    """(scale * inputs - mean) / std per channel, as float32 on the inputs' device.

    Args:
        mean, std: one value per channel, of the scaled values.
        scale: factor from stored to physical values, 1 / 255 for uint8 images.
        num_spatial_dims: of the samples (C, *spatial).

    Attributes:
        factor, offset: inputs * factor + offset, (1, C, 1, …).
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], scale: float, num_spatial_dims: int, device: torch.device
    ) -> None:
        per_channel = (1, len(mean)) + (1,) * num_spatial_dims
        deviation = torch.tensor(std, dtype=torch.float64)
        self.factor = (scale / deviation).float().reshape(per_channel).to(device)
        self.offset = (-torch.tensor(mean, dtype=torch.float64) / deviation).float().reshape(per_channel).to(device)

    def __call__(self, inputs: Tensor) -> Tensor:
        return inputs.to(torch.float32, copy=True).mul_(self.factor).add_(self.offset)


def mean_and_std(inputs: Tensor, scale: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return per-channel mean and population standard deviation of scale * inputs (N, C, *spatial).

    A constant channel gets the deviation 1, so that normalising leaves it at zero.
    """
    means, deviations = [], []
    for channel in inputs.transpose(0, 1):
        if inputs.dtype == torch.uint8:  # exact and fast: the counts of 256 values suffice
            counts = torch.bincount(channel.flatten(), minlength=256).double()
            values = torch.arange(256, dtype=torch.float64)
            mean = (counts * values).sum() / counts.sum()
            variance = (counts * (values - mean) ** 2).sum() / counts.sum()
        else:
            variance, mean = torch.var_mean(channel.double(), correction=0)
        means.append(mean.item() * scale)
        deviations.append(variance.sqrt().item() * scale or 1.0)
    return tuple(means), tuple(deviations)
