"""The outputs of the layers for a sample."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnlab.models.linear import Linear
from cnnlab.models.resnet import ResNet  # only: zoo
from cnnlab.models.textcnn import TextCNN  # only: zoo
from cnnlab.models.tinyvgg import TinyVGG
from cnnlab.workbench.inspection.activations import activations, weights


@pytest.fixture
def tinyvgg() -> nn.Module:
    torch.manual_seed(0)
    return TinyVGG((1, 28, 28), 10, hidden_units=10, dropout=0.5).eval()


def test_the_layers_of_tinyvgg_in_their_order(tinyvgg: nn.Module) -> None:
    sample = torch.randn(1, 28, 28)
    seen = activations(tinyvgg, sample)
    block = ["Conv2d 3x3", "ReLU", "Conv2d 3x3", "ReLU", "MaxPool2d 2x2"]
    assert [stage.layer for stage in seen] == [*block, *block, "Flatten", "Linear"]  # dropout rests in eval mode
    assert [stage.shape for stage in seen[3:5]] == [(1, 10, 28, 28), (1, 10, 14, 14)]
    assert seen[-2].shape == (1, 490)
    assert np.array_equal(seen[-1].values, tinyvgg(sample[None])[0].detach().numpy())


def test_what_the_next_layer_does_in_place_does_not_change_what_was_seen() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(inplace=True))
    conv, relu = activations(model, torch.randn(1, 20))
    assert conv.layer == "Conv1d 3"
    assert (conv.values < 0).any()
    assert np.array_equal(relu.values, conv.values.clip(min=0))


# only: zoo
def test_parallel_branches_are_beside_each_other_and_what_joins_them_is_not() -> None:
    model = TextCNN((1, 9), 2, vocabulary_size=20, embedding_size=6, kernel_sizes=(2, 3), num_filters=4).eval()
    seen = activations(model, torch.randint(1, 20, (1, 9)))
    assert [stage.layer for stage in seen if stage.is_beside] == ["Conv1d 3"]
    residual = activations(ResNet((1, 16, 16), 3, widths=[4, 8], blocks_per_stage=1).eval(), torch.randn(1, 16, 16))
    assert [stage.layer for stage in residual if stage.is_beside] == ["Conv2d 1x1"]


# end only


def test_no_hook_stays(tinyvgg: nn.Module) -> None:
    activations(tinyvgg, torch.randn(1, 28, 28))
    with pytest.raises(RuntimeError):
        activations(tinyvgg, torch.randn(3, 28, 28))
    assert not any(module._forward_hooks for module in tinyvgg.modules())


def test_kernels_of_convolutions(tinyvgg: nn.Module) -> None:
    layers = weights(tinyvgg, (1, 28, 28))
    assert [layer.kernels.shape for layer in layers] == [(10, 1, 3, 3), *[(10, 10, 3, 3)] * 3]
    first = dict(tinyvgg.named_modules())[layers[0].name]
    assert np.array_equal(layers[0].kernels, first.weight.detach().numpy())  # type: ignore[union-attr, operator]


def test_templates_of_a_linear_model() -> None:
    model = Linear((1, 6, 5), 3)
    (layer,) = weights(model, (1, 6, 5))
    assert layer.kernels.shape == (3, 1, 6, 5)
    assert weights(nn.Sequential(nn.Flatten(), nn.Identity()), (1, 6, 5)) == []
