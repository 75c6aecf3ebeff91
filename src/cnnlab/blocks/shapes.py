"""Infer a network's output shape before any data flows, and name the layer that cannot take its input."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def output_shape(module: nn.Module, input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of module(x) without the batch axis, for x of shape (N, *input_shape).

    Runs on the meta device: no memory, no arithmetic, no random numbers drawn.

    Raises:
        ValueError: naming the first layer that does not fit, its settings and the sizes.
    """
    probe = copy.deepcopy(module).to("meta").eval()
    reached: list[str] = []

    def remember(name: str) -> object:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            sizes = "x".join(str(size) for size in inputs[0].shape[1:])
            reached[:] = [f"layer {name + ' ' if name else ''}{layer} does not fit its input of {sizes}"]
            if 0 in inputs[0].shape:
                raise RuntimeError("the feature map has shrunk to nothing")

        return hook

    for name, layer in probe.named_modules():
        if not any(layer.children()):
            layer.register_forward_pre_hook(remember(name))
    try:
        with torch.no_grad():
            output: Tensor = probe(torch.empty(2, *input_shape, device="meta"))
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        where = reached[0] if reached else "the network does not fit its input"
        raise ValueError(f"{where} (data of {'x'.join(map(str, input_shape))}): {_first_line(error)}") from error
    if 0 in output.shape:
        raise ValueError(f"{reached[0] if reached else 'the network'}: the feature map has shrunk to nothing")
    return tuple(output.shape[1:])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
