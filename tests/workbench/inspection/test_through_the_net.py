"""The way of a sample through a network."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.models.resnet import ResNet  # only: zoo
from cnnlab.models.tinyvgg import TinyVGG
from cnnlab.models.vgg import VGG  # only: zoo
from cnnlab.workbench.inspection.activations import activations
from cnnlab.workbench.inspection.through_the_net import choose_stages, draw

NAMES = [*"0123456789"]
EVEN = np.full(10, 0.1)


def size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as picture:
        return picture.size


@pytest.mark.parametrize(
    "shape", [(1, 28, 28), pytest.param((3, 16, 24), marks=pytest.mark.slow), (2, 64), (1, 8, 8, 8)]
)
def test_a_column_for_every_layer(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model, sample = TinyVGG(shape, 10).eval(), torch.randn(shape)
    seen = activations(model, sample)
    width, height = size(draw(sample.numpy(), seen, EVEN, NAMES, "title"))
    assert width == pytest.approx(160 * (0.98 * (1 + len(seen)) + 2.2), abs=2)
    assert height < width


# only: zoo
@pytest.mark.parametrize("net", [VGG, ResNet])
def test_deep_networks_are_cut_to_the_shapes_they_pass_through(net: type[VGG | ResNet]) -> None:
    model, sample = net((1, 28, 28), 10).eval(), torch.randn(1, 28, 28)
    seen = activations(model, sample)
    assert len(seen) > 16
    chosen = choose_stages(seen, 16)
    assert len(chosen) <= 16
    assert chosen[-1] is seen[-1]
    spatial = list(dict.fromkeys(stage.shape[2:] for stage in seen if len(stage.shape) > 2))
    assert list(dict.fromkeys(stage.shape[2:] for stage in chosen if len(stage.shape) > 2)) == spatial
    assert size(draw(sample.numpy(), seen, EVEN, NAMES, "title"))[0] <= 160 * (0.98 * 17 + 2.2) + 2


# end only


def test_many_classes_with_long_names() -> None:
    names = [f"a long name of class {number}" for number in range(100)]
    model, sample = TinyVGG((3, 12, 12), 100).eval(), torch.randn(3, 12, 12)
    assert size(draw(sample.numpy(), activations(model, sample), np.full(100, 0.01), names, "title"))[1] > 0


def test_the_bars_are_the_probabilities_of_the_answer_whatever_the_activations_would_give() -> None:
    torch.manual_seed(0)
    model, sample = TinyVGG((1, 28, 28), 10).eval(), torch.randn(1, 28, 28)
    seen = activations(model, sample)
    longest = []
    for best in (2, 7):
        picture = draw(sample.numpy(), seen, np.eye(10)[best], NAMES, "t")
        pixels = np.array(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
        blue = np.abs(pixels - (0, 114, 178)).max(axis=2) < 12
        longest.append(int(blue.sum(axis=1).argmax()))
    assert longest[0] < longest[1]
