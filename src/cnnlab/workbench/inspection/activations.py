"""The output of every layer for one sample, and the weights that the layers have learnt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# In eval mode these change nothing.
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_IDLE = (nn.Identity, *_DROPOUTS)

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Activation:
    """The output of a layer for one sample.

    Attributes:
        layer: the layer's class, with its kernel size where it has one.
        shape: of the output as a batch of one, (1, C, *spatial) or (1, features).
        values: the output without the batch axis.
        is_beside: whether the layer works beside the one before it, on an earlier output.
    """

    layer: str
    shape: tuple[int, ...]
    values: Values
    is_beside: bool = False


@dataclass(frozen=True)
class Weights:
    """The kernels that a layer has learnt.

    Attributes:
        name: as in named_modules.
        layer: the layer's class.
        kernels: (out_channels, in_channels, *kernel_size). Those of a fully connected first layer are laid out like
            the samples, (out_features, *input_shape).
    """

    name: str
    layer: str
    kernels: Values


def activations(model: nn.Module, sample: Tensor) -> list[Activation]:
    """Send a sample (C, *spatial) through a network in eval mode; one entry per call of a layer, in their order.

    What a network computes outside its layers, such as a residual sum, shows in the next layer only.
    """
    seen: list[Activation] = []
    shapes = [(1, *sample.shape)]

    def keep(layer: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                values = output[0].detach().to("cpu", torch.float32, copy=True)  # the next layer may work in place
                beside = is_beside(tuple(inputs[0].shape), shapes)
                seen.append(Activation(layer, tuple(output.shape), values.numpy(), beside))
                shapes.append(tuple(output.shape))

        return hook

    leaves = [module for module in model.modules() if not any(module.children()) and not isinstance(module, _IDLE)]
    handles = [module.register_forward_hook(keep(_named(module))) for module in leaves]
    try:
        with torch.no_grad():
            model(sample[None])
    finally:
        for handle in handles:
            handle.remove()
    return seen


def is_beside(shape: Sequence[int], earlier: Sequence[Sequence[int]]) -> bool:
    """Whether an input has the shape of an earlier output and not that of the last one, as in parallel branches.

    The order of the sizes does not count, for axes may be swapped on the way. An input of a new shape was made of the
    last output outside the layers.
    """
    *before, last = [sorted(one) for one in earlier]
    return sorted(shape) != last and sorted(shape) in before


def weights(model: nn.Module, input_shape: Sequence[int]) -> list[Weights]:
    """The kernels of all convolutions; of a network without any, those of its first fully connected layer."""
    convolutions = [
        Weights(name, type(module).__name__, _values(module.weight))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    ]
    if convolutions:
        return convolutions
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.in_features == torch.Size(input_shape).numel():
            return [Weights(name, type(module).__name__, _values(module.weight).reshape(-1, *input_shape))]
    return []


def _named(module: nn.Module) -> str:
    size = getattr(module, "kernel_size", None)
    if size is None:
        return type(module).__name__
    sizes = size if isinstance(size, tuple) else (size,) * int(type(module).__name__[-2])
    return f"{type(module).__name__} {'x'.join(map(str, sizes))}"


def _values(tensor: Tensor) -> Values:
    values: Values = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    return values
