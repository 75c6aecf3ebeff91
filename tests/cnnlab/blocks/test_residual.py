"""The basic residual block of He et al. (2016)."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock as TorchvisionBlock

from cnnlab.blocks.residual import BasicBlock


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("out_channels", "stride", "size"), [(4, 1, 6), (8, 1, 6), (4, 2, 3), (8, 2, 3)])
def test_shape(dims: int, out_channels: int, stride: int, size: int) -> None:
    block = BasicBlock(dims, 4, out_channels, stride)
    assert block(torch.rand(2, 4, *[6] * dims)).shape == (2, out_channels, *[size] * dims)


@pytest.mark.parametrize("stride", [1, 2])
def test_equals_torchvisions_block_in_two_dims(stride: int) -> None:
    shortcut = nn.Sequential(nn.Conv2d(4, 8, 1, stride, bias=False), nn.BatchNorm2d(8))
    theirs = TorchvisionBlock(4, 8, stride, downsample=shortcut)
    ours = BasicBlock(2, 4, 8, stride)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    inputs = torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(ours(inputs), theirs(inputs))


def test_shortcut_is_the_identity_where_shapes_agree() -> None:
    block = BasicBlock(2, 4, 4)
    for parameter in block.residual.parameters():
        nn.init.zeros_(parameter)
    inputs = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(inputs), functional.relu(inputs))
    assert not list(block.shortcut.parameters())
