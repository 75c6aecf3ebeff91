"""Signals and volumes: the networks build and learn on 1-D and 3-D data, and equal torch's own layers put in a row."""

import math
from collections.abc import Callable
from functools import partial  # only: zoo

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnnlab.models.compact_cnn import CompactCNN  # only: zoo
from cnnlab.models.linear import Linear
from cnnlab.models.mlp import MLP  # only: zoo
from cnnlab.models.resnet import ResNet  # only: zoo
from cnnlab.models.tinyvgg import TinyVGG
from cnnlab.models.vgg import VGG  # only: zoo

MODELS: dict[str, Callable[..., nn.Module]] = {
    "linear": Linear,
    "mlp": MLP,  # only: zoo
    "tinyvgg": TinyVGG,
    "vgg": partial(VGG, widths=[[8], [16, 16]]),  # only: zoo
    "resnet": ResNet,  # only: zoo
    "compact_cnn": CompactCNN,  # only: zoo
}
SIGNALS, VOLUMES = (2, 32), (1, 4, 6, 8)

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}  # only: zoo
MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


def waves(shape: tuple[int, ...], num_samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Three classes: a wave of 1, 2 or 4 periods along the last axis, under noise of the same power."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (num_samples,), generator=generator)
    angle = 2 * math.pi * torch.arange(shape[-1]) / shape[-1] * 2 ** labels[:, None]
    clean = angle.cos().reshape(num_samples, *[1] * (len(shape) - 1), shape[-1])
    return clean + 0.7 * torch.randn(num_samples, *shape, generator=generator), labels


@pytest.mark.parametrize("shape", [SIGNALS, VOLUMES], ids=["signals", "volumes"])
@pytest.mark.parametrize("model", MODELS)
def test_learns(model: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = MODELS[model](shape, 3)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    inputs, labels = waves(shape, 32 * 30, seed=1)
    for batch, target in zip(inputs.split(32), labels.split(32), strict=True):
        optimizer.zero_grad()
        cross_entropy(network(batch), target).backward()
        optimizer.step()
    unseen, truth = waves(shape, 200, seed=2)
    network.eval()
    with torch.no_grad():
        accuracy = (network(unseen).argmax(1) == truth).float().mean().item()
    assert accuracy > 0.95


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
