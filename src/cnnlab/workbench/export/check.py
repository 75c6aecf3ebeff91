"""Compares the outputs of an exported file with those of the network."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cnnlab.data.datamodule import DataModule
from cnnlab.data.lazy_samples import LazySamples
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.shuffled_axis import ShuffledAxis
from cnnlab.saved_run import SavedModel

NUM_SAMPLES = 1_000


@dataclass(frozen=True)
class Agreement:
    """How two networks' outputs for the same samples differ.

    Attributes:
        num_samples: that were compared.
        max_difference: largest absolute difference of an output; NaN if any output is.
        largest: absolute value of an output of the run's network.
        num_differing: samples whose largest output is another one; of several labels those with another set of labels.
    """

    num_samples: int
    max_difference: float
    largest: float
    num_differing: int


def compare(saved: SavedModel, exported: Callable[[Tensor], Tensor], inputs: Tensor) -> Agreement:
    """Compare a run's network with what was loaded from its exported file, on inputs (N, C, *spatial) as stored."""
    data = saved.data
    normalise = Normalise(data["mean"], data["std"], data["scale"], inputs.dim() - 2, inputs.device)
    arrange = ShuffledAxis.of(data) or (lambda batch: batch)
    expected = _outputs(lambda batch: saved.model(normalise(arrange(batch))), inputs)
    found = _outputs(exported, inputs)
    if saved.targets == "multilabel":
        differs = ((found > 0) != (expected > 0)).any(dim=1)
    else:
        differs = found.argmax(dim=1) != expected.argmax(dim=1)
    difference, largest = (found - expected).abs().max().item(), expected.abs().max().item()
    return Agreement(len(inputs), difference, largest, int(differs.sum()))


def known_samples(datamodule: DataModule) -> Tensor:
    """Up to 1,000 samples (N, C, *spatial) as they are stored: validation's, then training's, never test's.

    What shuffle_axis did to them is undone, for exported files take samples as they come.
    """
    parts: list[Tensor] = []
    missing = NUM_SAMPLES
    for samples in (datamodule.validation, datamodule.training):
        some = samples.first(missing)
        if isinstance(some, LazySamples):
            some = some.load(datamodule.num_workers, "samples for the check")
        parts.append(some.inputs)
        missing -= len(some)
        if missing == 0:
            break
    arrange = ShuffledAxis.of(datamodule.description())
    inputs = torch.cat(parts)
    return inputs if arrange is None else arrange.undo(inputs)


def _outputs(network: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    # A single sample and an odd few come first: an exporter may have taken the batch size for a constant.
    batches = [inputs[:1], inputs[1:8], *torch.split(inputs[8:], 100)]
    with torch.no_grad():
        return torch.cat([network(batch.float()) for batch in batches if len(batch)])
