"""TinyVGG, VGG, SeparableCNN and ResNet equal torch's own layers put in a row, in one, two and three dims."""

import pytest
import torch
from torch import nn

from cnnlab.models.resnet import ResNet  # only: zoo
from cnnlab.models.separable_cnn import SeparableCNN  # only: zoo
from cnnlab.models.tinyvgg import TinyVGG
from cnnlab.models.vgg import VGG  # only: zoo

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}  # only: zoo
MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


def assert_same_function(ours: nn.Module, by_hand: nn.Module, shape: tuple[int, ...]) -> None:
    """Compare outputs and gradients after copying ours' state in order."""
    state = dict(zip(by_hand.state_dict(), ours.state_dict().values(), strict=True))
    by_hand.load_state_dict(state)
    inputs = torch.randn(4, *shape)
    for network in (ours, by_hand):
        network(inputs).square().sum().backward()
    torch.testing.assert_close(
        [parameter.grad for parameter in ours.parameters()], [parameter.grad for parameter in by_hand.parameters()]
    )
    ours.eval(), by_hand.eval()
    torch.testing.assert_close(ours(inputs), by_hand(inputs))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_tinyvgg_equals_torchs_layers_in_a_row(dims: int) -> None:
    shape = (2, *[9] * dims)
    conv, max_pool = CONV[dims], MAX_POOL[dims]
    by_hand = nn.Sequential(
        *[conv(2, 10, 3, padding=1), nn.ReLU(), conv(10, 10, 3, padding=1), nn.ReLU(), max_pool(2)],
        *[conv(10, 10, 3, padding=1), nn.ReLU(), conv(10, 10, 3, padding=1), nn.ReLU(), max_pool(2)],
        *[nn.Flatten(), nn.Linear(10 * 2**dims, 5)],
    )
    assert_same_function(TinyVGG(shape, 5), by_hand, shape)


# only: zoo
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_vgg_equals_torchs_layers_in_a_row(dims: int) -> None:
    shape = (2, *[9] * dims)
    conv, batch_norm, max_pool = CONV[dims], BATCH_NORM[dims], MAX_POOL[dims]
    layers: list[nn.Module] = []
    channels = 2
    for width in (8, "pool", 20, 20, "pool"):
        if width == "pool":
            layers.append(max_pool(2))
        else:
            layers += [conv(channels, width, 3, padding=1, bias=False), batch_norm(width), nn.ReLU()]
            channels = width
    by_hand = nn.Sequential(*layers, nn.Flatten(), nn.Linear(20 * 2**dims, 64), nn.ReLU(), nn.Linear(64, 5))
    assert_same_function(VGG(shape, 5, widths=[[8], [20, 20]], dropout=0.0), by_hand, shape)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_separable_cnn_equals_torchs_layers_in_a_row(dims: int, stem_stride: int, padding: str) -> None:
    shape = (2, *[24] * dims)
    conv, batch_norm = CONV[dims], BATCH_NORM[dims]
    layers = [conv(2, 4, 5, stem_stride, padding=2, bias=False), batch_norm(4), nn.SiLU(), MAX_POOL[dims](2)]
    for inputs, outputs in ((4, 4), (4, 6)):  # each channel by itself, then all channels of a position
        layers += [conv(inputs, inputs, 3, padding=0 if padding == "valid" else 1, bias=False, groups=inputs)]
        layers += [conv(inputs, outputs, 1, bias=False), batch_norm(outputs), nn.SiLU()]
    means = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
    by_hand = nn.Sequential(*layers, means[dims](1), nn.Flatten(), nn.Linear(6, 5))
    settings = {"stem_kernel_size": 5, "stem_stride": stem_stride, "padding": padding, "activation": "silu"}
    assert_same_function(SeparableCNN(shape, 5, [[4], [4, 6]], **settings), by_hand, shape)


def test_resnet_halves_the_map_at_the_stem_and_every_later_stage() -> None:
    network = ResNet((1, 28, 28), 10)
    sizes = []
    x = torch.zeros(2, 1, 28, 28)
    for layer in network.features:
        x = layer(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(16, 14, 14), (16, 14, 14), (32, 7, 7), (64, 4, 4)]
    full = ResNet((1, 28, 28), 10, blocks_per_stage=3, stem_stride=1)
    weighted = [layer for layer in full.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    assert len(weighted) + 1 == 6 * 3 + 2  # the paper's ResNet-20
    assert full.features(x.new_zeros(1, 1, 28, 28)).shape == (1, 64, 7, 7)


# end only
