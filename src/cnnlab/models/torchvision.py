"""The classifiers of torchvision.models, from AlexNet to Swin, by name, with or without pretrained weights."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torchvision.models as zoo
from torch import Tensor, nn

from cnnlab.blocks.library_network import (
    SIZES_TO_TRY,
    SMALL_IMAGE,
    LibraryNetwork,
    Published,
    check_images,
    is_file,
)
from cnnlab.errors import did_you_mean

_EXTRA_ARGUMENTS = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}
# Their published weights come from TensorFlow and expect (x - 0.5) / 0.5. torchvision converts its usual inputs to that
# inside the network, which works for three channels only; here the data are normalised so from the start.
_HALF = ("googlenet", "inception_v3")
# Parts that help to train these networks and are left out here.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
# DenseNet's published files are from a time when layers could have a dot in their names.
_DENSENET_LAYER = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class Torchvision(LibraryNetwork):
    """A torchvision classifier for any number of channels: (N, C, H, W) to logits (N, num_classes).

    Images below 64 pixels get a small stem that keeps their resolution: a strided first conv becomes 3x3 with stride 1
    and a max-pool before the second conv is left out. Published weights fit the original stem only, and with this one
    small images are enlarged instead. Networks that still cannot take the size (transformers with fixed positions, deep
    pooling) see the image enlarged as well: to 64, 128 or 224 pixels, the first that fits.

    The weights themselves are not read here but when a training begins, see cnnlab.pretrained: a trained run needs no
    file but its own checkpoint.

    Args:
        name: of a classifier in torchvision.models.
        weights: DEFAULT or another name of the network's published weights, the path of a file with its state dict
            (.pth), or of a run's checkpoint (.ckpt); None: random.
        stem: original or small. None: small for images below 64 pixels, unless the weights are published ones or a
            file's that is not a run's checkpoint.

    Raises:
        ValueError: for an unknown name, with the nearest one, or data that are not images.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        name: str = "resnet18",
        weights: str | None = None,
        stem: Literal["original", "small"] | None = None,
    ) -> None:
        super().__init__()
        names = zoo.list_models(module=zoo)
        if name not in names:
            raise ValueError(f"torchvision has no classifier {name!r}{did_you_mean(name, names)}")
        check_images("torchvision", input_shape)
        self.name, self.weights = name, weights
        published = zoo.get_model_weights(name).__members__
        if weights is not None and not is_file(weights) and weights not in published:
            choices = ", ".join(published)
            raise ValueError(
                f"weights must be {choices} or the path of a file (.pth, .ckpt), got {weights!r}"
                f"{did_you_mean(weights, published)}"
            )
        is_small = min(input_shape[1:]) < SMALL_IMAGE
        is_original = not is_small or (weights is not None and not weights.endswith(".ckpt"))
        self.stem = stem or ("original" if is_original else "small")
        # On the meta device a trial costs neither memory nor the time to draw weights. RegNet computes its widths with
        # tensors, which need a real one.
        device = torch.device("cpu" if name.startswith("regnet") else "meta")

        def trial() -> nn.Module:
            with device:
                return self._adapted(input_shape[0], num_classes)

        sizes = SIZES_TO_TRY if is_small and self.stem == "original" else (None, *SIZES_TO_TRY)
        self.settle_size(f"torchvision's {name}", input_shape, sizes, trial)
        self.network = self._adapted(input_shape[0], num_classes)

    @property
    def published(self) -> Published | None:
        """The published weights that are asked for; None if they are a file's or random."""
        if self.weights is None or is_file(self.weights):
            return None
        url = zoo.get_model_weights(self.name)[self.weights].url
        return Published(url, url.rpartition("/")[2])

    @property
    def normalisation(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and deviation of each channel of RGB images by which the published weights expect them normalised."""
        if self.name in _HALF:
            return (0.5,) * 3, (0.5,) * 3
        weights = zoo.get_model_weights(self.name)
        asked_for = self.weights if self.published else None
        transforms = weights[asked_for or "DEFAULT"].transforms()
        return transforms.mean, transforms.std

    @staticmethod
    def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of a published file under the names that the network's layers have here."""
        kept = {name: value for name, value in state.items() if not name.startswith(_AUXILIARY)}
        return {_DENSENET_LAYER.sub(r"\1\2", name): value for name, value in kept.items()}

    def _adapted(self, channels: int, num_classes: int) -> nn.Module:
        extra = _EXTRA_ARGUMENTS.get(self.name, {})
        network: nn.Module = zoo.get_model(self.name, weights=None, num_classes=num_classes, **extra)
        _adapt_stem(network, channels, keep_resolution=self.stem == "small" and self.resize_to is None)
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
