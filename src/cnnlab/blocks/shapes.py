"""Infer a network's output shape before any data flows, and name the layer that cannot take its input."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_DO_NOT_FIT = (RuntimeError, ValueError, IndexError, AssertionError)
_SMALL = 2**15  # numbers of a sample


def output_shape(module: nn.Module, input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of module(x) without the batch axis, for x of shape (N, *input_shape).

    Two samples of zeros go forward; weights, buffers and random numbers stay as they were. Large samples go forward on
    the meta device, without memory and arithmetic, unless the network needs numbers. For small ones that would take
    longer, because torch imports sympy for it.

    Raises:
        ValueError: naming the first layer that does not fit, its settings and the sizes.
    """
    reached: list[str] = []
    if math.prod(input_shape) <= _SMALL:
        output = _really(module, input_shape, reached)
    else:
        try:
            probe = copy.deepcopy(module).to("meta").eval()
            output = _forward(probe, torch.empty(2, *input_shape, device="meta"), reached)
        except _ShrunkToNothing as error:
            raise ValueError(f"{reached[0]} (data of {_sizes(input_shape)}): {error}") from error
        except Exception as error:
            output = _really(module, input_shape, reached, error)
    if not isinstance(output, Tensor):
        raise ValueError(f"expected a tensor of the network, got {type(output).__name__}")
    if 0 in output.shape:
        raise ValueError(f"{reached[0] if reached else 'the network'}: the feature map has shrunk to nothing")
    return tuple(output.shape[1:])


def settle_lazy_layers(module: nn.Module, input_shape: Sequence[int]) -> None:
    """Let layers that take their sizes from the first batch have one of shape (1, *input_shape).

    Raises:
        ValueError: as output_shape does.
    """
    if not any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        return
    reached: list[str] = []
    try:
        with _in_eval_mode(module):
            _forward(module, torch.zeros(1, *input_shape), reached)
    except _DO_NOT_FIT as error:
        where = reached[0] if reached else "the network does not fit its input"
        raise ValueError(f"{where} (data of {_sizes(input_shape)}): {_first_line(error)}") from error


def _really(
    module: nn.Module, input_shape: Sequence[int], reached: list[str], meta_error: Exception | None = None
) -> Tensor:
    """The output for zeros; what the meta device said counts only where the zeros came no further than that."""
    meta_where = reached[0] if reached else "the network does not fit its input"
    reached.clear()
    try:
        probe = copy.deepcopy(module)
    except RuntimeError:  # a tensor computed from parameters, as torch.nn.utils.weight_norm keeps one
        probe = module
    try:
        with _in_eval_mode(probe), torch.random.fork_rng(devices=[]):
            device = next((parameter.device for parameter in probe.parameters()), None)
            return _forward(probe, torch.zeros(2, *input_shape, device=device), reached)
    except _DO_NOT_FIT as error:
        where, what = (reached[0], error) if reached else (meta_where, meta_error or error)
        raise ValueError(f"{where} (data of {_sizes(input_shape)}): {_first_line(what)}") from error


def _forward(module: nn.Module, inputs: Tensor, reached: list[str]) -> Tensor:
    """module(inputs), with a description of the layer that was reached last left in `reached`."""

    def remember(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if not inputs or not isinstance(inputs[0], Tensor):
                return
            sizes = _sizes(inputs[0].shape[1:])
            reached[:] = [f"layer {name + ' ' if name else ''}{layer} does not fit its input of {sizes}"]
            if 0 in inputs[0].shape:
                raise _ShrunkToNothing("the feature map has shrunk to nothing")

        return hook

    layers = [(name, layer) for name, layer in module.named_modules() if not any(layer.children())]
    hooks = [layer.register_forward_pre_hook(remember(name)) for name, layer in layers]
    try:
        with torch.no_grad():
            output: Tensor = module(inputs)
    finally:
        for handle in hooks:
            handle.remove()
    return output


class _ShrunkToNothing(RuntimeError):
    """A layer would get an input without elements; some would even take it."""


@contextmanager
def _in_eval_mode(module: nn.Module) -> Iterator[None]:
    was_training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in was_training.items():
            part.training = training


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
