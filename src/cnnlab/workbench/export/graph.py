"""The steps that all formats with a whole network in them share."""

import copy
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.shuffled_axis import ShuffledAxis
from cnnlab.errors import UserError
from cnnlab.saved_run import SavedModel


class StoredInputs(nn.Module):
    """(N, C, *spatial) float32 as stored, for images pixels from 0 to 255, to what `model` makes of them normalised.

    Forgetting the normalisation is the classic mistake with somebody else's network, so it goes along, as buffers,
    which an exporter takes for part of the network; so does the order of data.shuffle_axis.

    Args:
        model: takes normalised inputs.
        normalise: that of the data.
        arrange: reorders inputs as the data were reordered.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, model: nn.Module, normalise: Normalise, arrange: ShuffledAxis | None = None) -> None:
        super().__init__()
        self.register_buffer("factor", normalise.factor)
        self.register_buffer("offset", normalise.offset)
        self.arrange = arrange
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        if self.arrange is not None:
            inputs = self.arrange(inputs)
        outputs: Tensor = self.model(inputs * self.factor + self.offset)
        return outputs


def with_normalisation(saved: SavedModel) -> tuple[StoredInputs, dict[str, Any]]:
    """The run's network for inputs as stored, on the CPU, and how an exporter is to call it: any batch size will do."""
    shape = saved.data["input_shape"]
    # A copy, laid out as other programs expect it: training may have put the channels last.
    model = copy.deepcopy(saved.model).to(memory_format=torch.contiguous_format)
    data, device = saved.data, torch.device("cpu")
    normalise = Normalise(data["mean"], data["std"], data["scale"], len(shape) - 1, device)
    network = StoredInputs(model, normalise, ShuffledAxis.of(data))
    example = torch.zeros(2, *shape)  # a batch of one would be taken for a constant
    return network.eval(), {"args": (example,), "dynamic_shapes": ({0: Dim("batch")},)}


@contextmanager
def exporting() -> Iterator[None]:
    """Silence the exporters' messages about their own code, and report what they refuse in one line."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:  # exporters raise whatever their many layers raise
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            line = next((line for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
            raise UserError(f"this network cannot be exported: {line.strip()}") from error
