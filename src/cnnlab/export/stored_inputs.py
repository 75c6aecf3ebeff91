"""A network that takes its data as they are stored."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StoredInputs(nn.Module):
    """(N, C, *spatial) float32 as stored, for images pixels from 0 to 255, to what `model` makes of them normalised.

    Forgetting the normalisation is the classic mistake with somebody else's network, so it goes along: the same
    arithmetic as cnnlab.data.normalise.Normalise, here with buffers, which an exporter takes for part of the network.

    Args:
        model: takes (scale * inputs - mean) / std.
        mean, std: one value per channel, of the scaled values.
        scale: factor from stored to physical values, 1 / 255 for uint8 images.
        num_spatial_dims: of the samples (C, *spatial).
    """

    factor: Tensor
    offset: Tensor

    def __init__(
        self, model: nn.Module, mean: Sequence[float], std: Sequence[float], scale: float, num_spatial_dims: int
    ) -> None:
        super().__init__()
        per_channel = (1, len(mean)) + (1,) * num_spatial_dims
        deviation = torch.tensor(std, dtype=torch.float64)
        offset = -torch.tensor(mean, dtype=torch.float64) / deviation
        self.register_buffer("factor", (scale / deviation).float().reshape(per_channel))
        self.register_buffer("offset", offset.float().reshape(per_channel))
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.model(inputs * self.factor + self.offset)
        return outputs
