"""What is collected of an evaluation."""

import pytest
import torch

from cnnlab.callbacks.outputs import Kept


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_the_largest_of_all_batches_are_kept_in_order(batch_size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    ranks, inputs = torch.rand(100, generator=generator), torch.randn(100, 1, 4, generator=generator)
    kept, first = Kept(12), 0
    for some, samples in zip(ranks.split(batch_size), inputs.split(batch_size), strict=True):
        kept.add(some, samples, first)
        first += len(some)
    order = ranks.argsort(descending=True)[:12]
    assert torch.equal(kept.indices, order)
    assert torch.equal(kept.inputs, inputs[order])


def test_fewer_samples_than_places() -> None:
    kept = Kept(12)
    kept.add(torch.tensor([1.0, 3.0]), torch.eye(2), 0)
    assert kept.indices.tolist() == [1, 0]
