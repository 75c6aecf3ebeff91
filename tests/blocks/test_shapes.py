"""Shapes are inferred without arithmetic, and what cannot work is named with its sizes."""

import pytest
import torch
from torch import nn

from cnnlab.blocks.shapes import output_shape


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_shape_is_the_one_a_real_batch_gets(dims: int) -> None:
    conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    network = nn.Sequential(conv(2, 5, 3, stride=2), nn.ReLU())
    shape = (2, *[11] * dims)
    assert output_shape(network, shape) == tuple(network(torch.zeros(3, *shape)).shape[1:]) == (5, *[5] * dims)


def test_nothing_is_changed_drawn_or_computed() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    assert output_shape(network, (1, 8, 8)) == (4, 6, 6)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert output_shape(nn.Conv2d(1, 1, 1), (1, 1_000_000, 1_000_000)) == (1, 1_000_000, 1_000_000)  # 4 TB if real


def test_layer_larger_than_its_input_is_named_with_its_sizes() -> None:
    network = nn.Sequential(nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(3, 4, 7)))
    with pytest.raises(
        ValueError, match=r"layer 1\.0 Conv2d\(3, 4, kernel_size=\(7, 7\).* its input of 3x4x4 \(data of 3x8x8\): .+"
    ):
        output_shape(network, (3, 8, 8))


def test_feature_map_shrunk_to_nothing_is_named() -> None:
    pools = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2), nn.MaxPool2d(2))
    with pytest.raises(ValueError, match=r"layer 2 MaxPool2d\(kernel_size=2.* its input of 1x1x1 \(data of 1x4x4\)"):
        output_shape(pools, (1, 4, 4))


def test_empty_feature_map_never_reaches_a_layer_that_would_take_it() -> None:
    class Cut(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 1:]

    with pytest.raises(ValueError, match="ReLU.*1x4x0.*shrunk to nothing"):
        output_shape(nn.Sequential(Cut(), nn.ReLU()), (1, 4, 1))
    with pytest.raises(ValueError, match="Cut.*shrunk to nothing"):
        output_shape(Cut(), (1, 4, 1))


def test_wrong_number_of_channels_is_named() -> None:
    with pytest.raises(ValueError, match=r"layer Conv2d\(3, 4.* its input of 1x8x8"):
        output_shape(nn.Conv2d(3, 4, 3), (1, 8, 8))
