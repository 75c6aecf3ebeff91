"""Mean and standard deviation of a data set, per channel."""

import torch
from torch import Tensor


def mean_and_std(inputs: Tensor, scale: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per-channel mean and population standard deviation of scale * inputs (N, C, *spatial).

    A constant channel gets the deviation 1, so that normalising leaves it at zero.
    """
    means, deviations = [], []
    for channel in inputs.transpose(0, 1):
        if inputs.dtype == torch.uint8:  # exact and fast: 256 counts say all there is to know
            counts = torch.bincount(channel.flatten(), minlength=256).double()
            values = torch.arange(256, dtype=torch.float64)
            mean = (counts * values).sum() / counts.sum()
            variance = (counts * (values - mean) ** 2).sum() / counts.sum()
        else:
            variance, mean = torch.var_mean(channel.double(), correction=0)
        means.append(mean.item() * scale)
        deviations.append(variance.sqrt().item() * scale or 1.0)
    return tuple(means), tuple(deviations)
