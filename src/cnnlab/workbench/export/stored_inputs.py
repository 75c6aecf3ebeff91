"""A network that takes its data as they are stored."""

from torch import Tensor, nn

from cnnlab.data.loading.normalisation import Normalise


class StoredInputs(nn.Module):
    """(N, C, *spatial) float32 as stored, for images pixels from 0 to 255, to what `model` makes of them normalised.

    Forgetting the normalisation is the classic mistake with somebody else's network, so it goes along, as buffers,
    which an exporter takes for part of the network.

    Args:
        model: takes normalised inputs.
        normalise: that of the data.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, model: nn.Module, normalise: Normalise) -> None:
        super().__init__()
        self.register_buffer("factor", normalise.factor)
        self.register_buffer("offset", normalise.offset)
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.model(inputs * self.factor + self.offset)
        return outputs
