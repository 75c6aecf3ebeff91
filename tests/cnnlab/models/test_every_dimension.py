"""Every network for numbers in one and in three dims: it builds from the data's shape and learns, or is refused."""

import inspect
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

CONF = Path(__file__).parents[3] / "conf/model"
NAMES = sorted(
    path.stem
    for path in CONF.glob("*.yaml")
    if "vocabulary_size" not in inspect.signature(get_class(OmegaConf.load(path)._target_)).parameters
)
SHAPES = {1: (1, 40), 3: (1, 16, 16, 16)}  # MNIST-1D and volumes; test_zoo.py has images
ONLY_IMAGES = {"torchvision", "timm"}
# Five convs without padding leave nothing of eight positions.
CHANGES = {("separable_cnn", 3): {"widths": [[8], [10, 12]]}}


def build(name: str, shape: tuple[int, ...], **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    config = OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), changes)
    network: nn.Module = instantiate(config, input_shape=shape, num_classes=3)
    return network


def waves(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Twenty-four samples of three classes: a wave of 1, 2 or 4 periods along the last axis, under noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 3
    angle = 2 * math.pi * torch.arange(shape[-1]) / shape[-1] * 2 ** labels[:, None]
    clean = angle.cos().reshape(24, *[1] * (len(shape) - 1), shape[-1])
    return clean + 0.5 * torch.randn(24, *shape, generator=generator), labels


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        pytest.param(name, dims, marks=pytest.mark.slow) if (name, dims) == ("alexnet", 3) else (name, dims)
        for name in NAMES
        for dims in SHAPES
    ],
)
def test_learns_with_every_parameter_or_says_why_not(name: str, dims: int) -> None:
    if name in ONLY_IMAGES:
        if name == "timm":
            pytest.importorskip("timm")
        with pytest.raises(Exception, match=re.escape(f"got data of shape {SHAPES[dims]}")):
            build(name, SHAPES[dims])
        return
    network = build(name, SHAPES[dims], **CHANGES.get((name, dims), {}))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    inputs, labels = waves(SHAPES[dims])
    for _ in range(60):
        loss = cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.5:  # 1.1 is guessing
            break
    assert loss < 0.5
    assert not [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]


# only: zoo
@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("lenet5", (1, 8), r"layer 2\.0 Conv1d\(6, 16.* does not fit its input of 6x4 \(data of 1x8\)"),
        (
            "lenet5",
            (1, 16, 16, 8),
            r"layer 2\.0 Conv3d\(6, 16.* does not fit its input of 6x8x8x4 \(data of 1x16x16x8\)",
        ),
        ("alexnet", (1, 10), r"layer 7 MaxPool1d\(.*does not fit its input of 28x1 \(data of 1x10\)"),
        ("alexnet", (1, 16, 16, 10), r"layer 7 MaxPool3d\(.*does not fit its input of 28x3x3x1 \(data of 1x16x16x10\)"),
        ("vgg", (1, 7), r"layer 8 MaxPool1d\(.*does not fit its input of \d+x1 \(data of 1x7\)"),
        ("vgg", (1, 8, 8, 7), r"layer 8 MaxPool3d\(.*does not fit its input of \d+x2x2x1 \(data of 1x8x8x7\)"),
    ],
)
def test_data_that_are_too_small_are_refused_with_the_sizes(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(Exception, match=message):
        build(name, shape)


# end only
