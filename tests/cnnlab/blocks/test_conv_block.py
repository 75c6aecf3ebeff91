"""Conv, norm, activation in this order, for any number of spatial dims."""

import pytest
import torch
from torch import nn

from cnnlab.blocks.conv_block import conv_norm_act


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("norm_kind", ["none", "batch", "group"])
def test_block_is_norm_of_conv_then_activation(dims: int, norm_kind: str) -> None:
    block = conv_norm_act(dims, 2, 4, norm_kind=norm_kind, act="tanh")
    inputs = torch.rand(3, 2, *[6] * dims)
    expected = inputs
    for layer in list(block)[:-1]:
        expected = layer(expected)
    assert type(block[-1]) is nn.Tanh
    torch.testing.assert_close(block(inputs), expected.tanh())


@pytest.mark.parametrize(("norm_kind", "num_parameters"), [("none", 4 * 18 + 4), ("batch", 4 * 18 + 8)])
def test_conv_has_no_bias_where_a_norm_follows(norm_kind: str, num_parameters: int) -> None:
    block = conv_norm_act(2, 2, 4, norm_kind=norm_kind)
    assert sum(parameter.numel() for parameter in block.parameters()) == num_parameters


def test_default_keeps_the_size() -> None:
    assert conv_norm_act(2, 1, 4, kernel_size=7)(torch.zeros(1, 1, 5, 9)).shape == (1, 4, 5, 9)
