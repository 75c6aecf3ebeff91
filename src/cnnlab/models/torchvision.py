"""The classifiers of torchvision.models, from AlexNet to Swin, by name and without pretrained weights."""

from collections.abc import Sequence
from typing import Any

import torch
import torchvision.models as zoo
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cnnlab.blocks.shapes import output_shape
from cnnlab.errors import did_you_mean

SMALL_IMAGE = 64
_SIZES_TO_TRY = (64, 128, 224)
_EXTRA_ARGUMENTS = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


class Torchvision(nn.Module):
    """A torchvision classifier for any number of channels: (N, C, H, W) to logits (N, num_classes).

    Images below 64 pixels get a stem that keeps their resolution: a strided first conv becomes 3x3 with stride 1
    and a max-pool before the second conv is left out. Networks that still cannot take the size (transformers with
    fixed positions, deep pooling) see the image enlarged to 64, 128 or 224 pixels, the first that fits.

    Raises:
        ValueError: for an unknown name, with the nearest one, or data that are not images.
    """

    def __init__(self, input_shape: Sequence[int], num_classes: int, name: str = "resnet18") -> None:
        super().__init__()
        names = zoo.list_models(module=zoo)
        if name not in names:
            raise ValueError(f"torchvision has no classifier {name!r}{did_you_mean(name, names)}")
        if len(input_shape) != 3:
            raise ValueError(f"torchvision's classifiers take images (C, H, W), got data of shape {tuple(input_shape)}")
        problem: Exception | None = None
        for resize_to in (None, *_SIZES_TO_TRY):
            self.resize_to = resize_to
            with torch.device("meta"):  # a trial costs neither memory nor the time to draw weights
                self.network = _adapted(name, input_shape, num_classes, resize_to)
            try:
                output_shape(self, input_shape)
                break
            except ValueError as error:
                problem = error
        else:
            raise ValueError(f"torchvision's {name} cannot take data of shape {tuple(input_shape)}: {problem}")
        self.network = _adapted(name, input_shape, num_classes, self.resize_to)

    def forward(self, x: Tensor) -> Tensor:
        if self.resize_to is not None:
            x = interpolate(x, size=(self.resize_to, self.resize_to), mode="bilinear", align_corners=False)
        logits: Tensor = self.network(x)
        return logits


def _adapted(name: str, input_shape: Sequence[int], num_classes: int, resize_to: int | None) -> nn.Module:
    network: nn.Module = zoo.get_model(name, weights=None, num_classes=num_classes, **_EXTRA_ARGUMENTS.get(name, {}))
    is_small = min(input_shape[1:]) < SMALL_IMAGE and resize_to is None
    _adapt_stem(network, input_shape[0], keep_resolution=is_small)
    return network


def _adapt_stem(network: nn.Module, channels: int, keep_resolution: bool) -> None:
    """Replace the first conv for `channels` inputs and, to keep the resolution, undo the stem's downsampling."""
    convs = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    name, stem = convs[0]
    is_patch_embedding = stem.kernel_size == stem.stride
    kernel_size: Any = stem.kernel_size
    stride: Any = stem.stride
    padding: Any = stem.padding
    if keep_resolution and not is_patch_embedding:
        kernel_size, stride, padding = (3, 3), (1, 1), (1, 1)
        _drop_max_pool_before(network, second_conv=convs[1][0])
    network.set_submodule(
        name,
        nn.Conv2d(channels, stem.out_channels, kernel_size, stride, padding, bias=stem.bias is not None),
    )


def _drop_max_pool_before(network: nn.Module, second_conv: str) -> None:
    for name, layer in network.named_modules():
        if name == second_conv:
            return
        if isinstance(layer, nn.MaxPool2d):
            network.set_submodule(name, nn.Identity())
            return
