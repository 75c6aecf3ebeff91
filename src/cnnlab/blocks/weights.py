"""Fits the weights of a trained network into one of the same architecture with other channels or other classes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_MOST_SHOWN = 3
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def load_fitting(network: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Load a state dict; the first convolution is adapted to the network's channels, the last layer to its classes.

    Returns:
        Whether the last layer keeps its random weights, because the state is from a network with other classes.

    Raises:
        ValueError: naming some of the tensors that are missing, unknown or of another shape.
    """
    own, given = network.state_dict(), dict(state)
    first, last = first_convolution(network), last_layer(network)
    weight = f"{first}.weight"
    if weight in given and weight in own and given[weight].dim() == own[weight].dim():
        given[weight] = for_channels(given[weight], own[weight].shape[1])
    of_the_head = [name for name in own if name.startswith(f"{last}.")]
    is_new = any(name in given and given[name].shape != own[name].shape for name in of_the_head)
    if is_new:
        given |= {name: own[name] for name in of_the_head}
    if problems := _differences(own, given):
        more = f" and {len(problems) - _MOST_SHOWN} more" if len(problems) > _MOST_SHOWN else ""
        raise ValueError("; ".join(problems[:_MOST_SHOWN]) + more)
    own.update(given)  # which carries torch's version numbers of the layers, unlike a plain dict
    network.load_state_dict(own)
    return is_new


def for_channels(kernels: Tensor, channels: int) -> Tensor:
    """Adapt the kernels (out, in, *size) of a first convolution to inputs with another number of channels.

    A single channel gets the sum of the kernels: a grey picture then has the response that the trained network gives
    to the same picture in colour, where the three channels are equal; their mean would give a third of it. More
    channels get the kernels in turn, scaled such that the response keeps its size.
    """
    before = kernels.shape[1]
    if channels == before:
        return kernels
    if channels == 1:
        return kernels.sum(dim=1, keepdim=True)
    in_turn = torch.arange(channels) % before
    return kernels[:, in_turn] * (before / channels)


def first_convolution(network: nn.Module) -> str | None:
    """The name of the first convolution, None if there is none."""
    return next((name for name, layer in network.named_modules() if isinstance(layer, _CONVOLUTIONS)), None)


def last_layer(network: nn.Module) -> str | None:
    """The name of the last linear layer or convolution, which computes the classes; None if there is neither."""
    names = [name for name, layer in network.named_modules() if isinstance(layer, (nn.Linear, *_CONVOLUTIONS))]
    return names[-1] if names else None


def _differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    problems = [
        f"{name} is {_sizes(given[name])} in the file and {_sizes(value)} in the network"
        for name, value in own.items()
        if name in given and given[name].shape != value.shape
    ]
    # Files of early versions of PyTorch do not count the batches that a normalisation has seen.
    problems += [f"{name} is missing" for name in own if name not in given and not name.endswith("num_batches_tracked")]
    return problems + [f"{name} is not in the network" for name in given if name not in own]


def _sizes(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
