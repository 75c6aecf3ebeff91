"""From stored values to what a network is fed."""

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
