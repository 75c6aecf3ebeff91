"""One fixed order of the samples in which every prefix has the classes' proportions."""

import pytest
import torch
from torch import Tensor

from cnnlab.data.samples import TensorSamples
from cnnlab.data.stratified import stratified_order


def labels_with(*counts: int) -> Tensor:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]


BALANCED, UNEVEN, RARE = labels_with(*[100] * 10), labels_with(612, 297, 91), labels_with(1, 500, 3)


def worst_deviation(labels: Tensor) -> float:
    """The largest difference, over prefixes and classes, from the exact share of the class."""
    in_order = torch.nn.functional.one_hot(labels[stratified_order(labels)]).double()
    lengths = torch.arange(1, len(labels) + 1, dtype=torch.float64)[:, None]
    return (in_order.cumsum(0) - lengths * in_order.mean(0)).abs().max().item()


@pytest.mark.parametrize("labels", [BALANCED, UNEVEN, RARE])
def test_every_sample_has_one_place(labels: Tensor) -> None:
    assert stratified_order(labels).sort().values.tolist() == list(range(len(labels)))


@pytest.mark.parametrize("labels", [BALANCED, UNEVEN, RARE])
def test_every_prefix_keeps_the_proportions_within_one_sample(labels: Tensor) -> None:
    assert worst_deviation(labels) <= 1


def test_balanced_classes_stay_balanced() -> None:
    order = BALANCED[stratified_order(BALANCED)]
    for length in range(10, 1001, 10):
        assert torch.bincount(order[:length], minlength=10).tolist() == [length // 10] * 10


def test_the_order_never_changes() -> None:
    """The split is part of every published number: these indices may change only with the name of the data set."""
    torch.manual_seed(1)
    first = stratified_order(BALANCED)
    torch.manual_seed(2)
    assert torch.equal(stratified_order(BALANCED), first)
    assert stratified_order(torch.arange(20) % 4)[:8].tolist() == [5, 11, 12, 14, 4, 7, 13, 18]


def test_members_of_a_class_are_mixed() -> None:
    zeros = stratified_order(torch.zeros(1000, dtype=torch.int64))
    assert (zeros[1:] > zeros[:-1]).double().mean().item() == pytest.approx(0.5, abs=0.1)


def test_split_is_disjoint_complete_and_stratified() -> None:
    data = TensorSamples(torch.arange(1000)[:, None], UNEVEN)
    validation, training = data.split(100)
    assert (len(validation), len(training)) == (100, 900)
    both = torch.cat([validation.inputs, training.inputs]).flatten()
    assert both.sort().values.tolist() == list(range(1000))
    assert torch.bincount(validation.labels).sub(torch.tensor([61, 30, 9])).abs().max() <= 1
    assert torch.equal(UNEVEN[training.inputs.flatten()], training.labels)


def test_smaller_subsets_lie_in_larger_ones_and_are_stratified() -> None:
    _, training = TensorSamples(torch.arange(1000)[:, None], BALANCED).split(100)
    small, large = training.first(90), training.first(300)
    assert torch.equal(small.inputs, large.inputs[:90])
    assert torch.bincount(small.labels).tolist() == [9] * 10
    assert torch.bincount(large.labels).tolist() == [30] * 10
    assert training.first(None) is training


def test_values_come_in_a_fixed_random_order() -> None:
    order = stratified_order(torch.linspace(0, 1, 100)[:, None])
    assert sorted(order.tolist()) == list(range(100))
    assert not torch.equal(order, torch.arange(100))
    assert order[:50].float().mean() == pytest.approx(50, abs=12)
    assert torch.equal(order, stratified_order(torch.zeros(100, 1)))
