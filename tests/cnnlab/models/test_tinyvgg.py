"""TinyVGG's settings have torch's meaning, each of them."""

from typing import Any

import pytest
import torch
from torch import nn

from cnnlab.models.tinyvgg import TinyVGG


def build(**settings: Any) -> TinyVGG:
    return TinyVGG((1, 28, 28), 10, **settings)


def layers(network: nn.Module, kind: type[nn.Module]) -> list[Any]:
    return [layer for layer in network.modules() if isinstance(layer, kind)]


def feature_shape(network: TinyVGG) -> tuple[int, ...]:
    with torch.no_grad():
        return tuple(network.features(torch.zeros(1, 1, 28, 28)).shape[1:])


def test_the_network_of_the_paper() -> None:
    network = build()
    names = [type(layer).__name__ for layer in network.modules() if not any(layer.children())]
    assert names == ["Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d"] * 2 + ["Flatten", "Linear"]
    assert sum(parameter.numel() for parameter in network.parameters()) == 7_740
    assert layers(network, nn.Linear)[0].in_features == 490
    assert feature_shape(network) == (10, 7, 7)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"hidden_units": 16}, (16, 7, 7)),
        ({"num_blocks": 1}, (10, 14, 14)),
        ({"num_blocks": 3}, (10, 3, 3)),
        ({"convs_per_block": 1}, (10, 7, 7)),
        ({"convs_per_block": 3, "padding": "valid"}, (10, 2, 2)),  # 28 - 6 = 22, 11 - 6 = 5, 2
        ({"kernel_size": 7}, (10, 7, 7)),
        ({"kernel_size": 5, "padding": "valid"}, (10, 1, 1)),  # 28 - 8 = 20, 10 - 8 = 2, 1
        ({"kernel_size": 3, "padding": 0}, (10, 4, 4)),  # 28 - 4 = 24, 12 - 4 = 8, 4
        ({"kernel_size": 3, "padding": 2}, (10, 10, 10)),  # 28 + 4 = 32, 16 + 4 = 20, 10
        ({"kernel_size": 3, "padding": [1, 0]}, (10, 7, 4)),
        ({"stride": 2, "padding": 1, "convs_per_block": 1}, (10, 2, 2)),  # 14, 7, 4, 2
        ({"pool": "avg"}, (10, 7, 7)),
    ],
)
def test_size_of_the_feature_map(settings: dict[str, Any], expected: tuple[int, ...]) -> None:
    network = build(**settings)
    assert feature_shape(network) == expected
    assert layers(network, nn.Linear)[0].in_features == expected[0] * expected[1] * expected[2]


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize(("num_blocks", "convs_per_block"), [(1, 1), (2, 3)])
def test_number_of_convs_and_parameters(kernel_size: int, num_blocks: int, convs_per_block: int) -> None:
    network = build(hidden_units=6, kernel_size=kernel_size, num_blocks=num_blocks, convs_per_block=convs_per_block)
    num_convs = num_blocks * convs_per_block
    assert len(layers(network, nn.Conv2d)) == num_convs
    assert len(layers(network, nn.MaxPool2d)) == num_blocks
    weights = kernel_size**2 * (6 + (num_convs - 1) * 36)
    assert sum(parameter.numel() for parameter in network.features.parameters()) == weights + num_convs * 6


@pytest.mark.parametrize(
    ("settings", "torchs"),
    [
        ({}, {"kernel_size": (3, 3), "stride": (1, 1), "padding": "same"}),
        ({"padding": "valid"}, {"padding": "valid"}),
        ({"stride": 2, "padding": 3, "kernel_size": 5}, {"kernel_size": (5, 5), "stride": (2, 2), "padding": (3, 3)}),
        ({"padding": [1, 2]}, {"padding": (1, 2)}),
    ],
)
def test_every_conv_gets_torchs_arguments(settings: dict[str, Any], torchs: dict[str, Any]) -> None:
    for conv in layers(build(**settings), nn.Conv2d):
        assert {name: getattr(conv, name) for name in torchs} == torchs


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)])
def test_norm_follows_every_conv(norm: str, kind: type[nn.Module]) -> None:
    network = build(norm=norm)
    names = [type(layer).__name__ for layer in network.modules() if not any(layer.children())]
    assert names[:3] == ["Conv2d", kind.__name__, "ReLU"]
    assert len(layers(network, kind)) == 4
    assert all(conv.bias is None for conv in layers(network, nn.Conv2d))


def test_no_norm_by_default() -> None:
    assert not layers(build(), nn.BatchNorm2d) + layers(build(), nn.GroupNorm)


@pytest.mark.parametrize(("name", "kind"), [("gelu", nn.GELU), ("LeakyReLU", nn.LeakyReLU)])
def test_activation_by_name(name: str, kind: type[nn.Module]) -> None:
    assert len(layers(build(activation=name), kind)) == 4


@pytest.mark.parametrize(("name", "kind"), [("max", nn.MaxPool2d), ("avg", nn.AvgPool2d)])
def test_pool_by_name(name: str, kind: type[nn.Module]) -> None:
    assert [layer.kernel_size for layer in layers(build(pool=name), kind)] == [2, 2]


def test_dropout_before_the_last_layer() -> None:
    assert not layers(build(), nn.Dropout)
    assert [layer.p for layer in layers(build(dropout=0.3), nn.Dropout)] == [0.3]
