"""LeNet-5's layers are those of the paper."""

import pytest
import torch
from torch import nn

from cnnlab.models.lenet5 import LeNet5


def test_sizes_of_the_paper() -> None:
    network = LeNet5((1, 28, 28), 10)
    sizes = []
    x = torch.zeros(1, 1, 28, 28)
    for layer in network.features:
        x = layer(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]
    linear = [layer for layer in network.classifier if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(400, 120), (120, 84), (84, 10)]


@pytest.mark.parametrize(
    ("settings", "activation", "pool"),
    [({}, nn.Tanh, nn.AvgPool2d), ({"activation": "relu", "pool": "max"}, nn.ReLU, nn.MaxPool2d)],
)
def test_classic_and_modern_variant(
    settings: dict[str, str], activation: type[nn.Module], pool: type[nn.Module]
) -> None:
    kinds = [type(layer) for layer in LeNet5((1, 28, 28), 10, **settings).modules()]
    assert (kinds.count(activation), kinds.count(pool)) == (4, 2)
