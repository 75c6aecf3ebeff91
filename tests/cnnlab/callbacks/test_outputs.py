"""The outputs of an evaluation are collected completely and in the order of the samples."""

from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from cnnlab.callbacks.outputs import Outputs, TopSamples


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_the_largest_of_all_batches_are_kept_in_order(batch_size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    ranks, inputs = torch.rand(100, generator=generator), torch.randn(100, 1, 4, generator=generator)
    kept, first = TopSamples(12), 0
    for some, samples in zip(ranks.split(batch_size), inputs.split(batch_size), strict=True):
        kept.add(some, samples, first)
        first += len(some)
    order = ranks.argsort(descending=True)[:12]
    assert torch.equal(kept.indices, order)
    assert torch.equal(kept.inputs, inputs[order])


def test_fewer_samples_than_places() -> None:
    kept = TopSamples(12)
    kept.add(torch.tensor([1.0, 3.0]), torch.eye(2), 0)
    assert kept.indices.tolist() == [1, 0]


class Twice(LightningModule):
    """Asks its network about the batch and about its mirror image, as an average over both needs."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Identity()


@pytest.mark.parametrize("is_the_batch_asked_about", [True, False])
def test_of_several_answers_the_one_to_the_batch_counts_and_the_hook_goes(is_the_batch_asked_about: bool) -> None:
    module, outputs = Twice(), Outputs(num_kept=2, seed=0)
    none: Any = cast(Trainer, None)
    outputs.setup(none, module, "test")
    outputs.on_test_start(none, module)
    batches = [torch.eye(4)[:3], torch.eye(4)[3:]]
    for number, inputs in enumerate(batches):
        asked: list[Tensor] = [inputs.clone(), inputs.flip(1)]
        for one in [inputs, *asked] if is_the_batch_asked_about else asked:
            module.model(one)
        outputs.on_test_batch_end(none, module, None, (inputs, torch.arange(len(inputs))), number)
    outputs.on_test_end(none, module)
    answers = torch.eye(4) if is_the_batch_asked_about else torch.eye(4).flip(1)
    assert torch.equal(outputs.logits, answers)
    outputs.teardown(none, module, "test")
    assert not module.model._forward_hooks
