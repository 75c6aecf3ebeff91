"""The layers of a network at work on one sample: shapes, sizes, cost and receptive fields."""

import copy
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from cnnlab.blocks.shapes import output_shape
from cnnlab.workbench.inspection.torch_internals import TorchDispatchMode

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode

_AXES = {1: "length", 2: "height x width", 3: "depth x height x width"}


@dataclass(frozen=True)
class Layer:
    """One call of a layer; what a block computes itself, such as a residual sum, is a line of its own.

    Attributes:
        name: as in named_modules; empty for what the network computes outside its layers.
        layer: the layer's class, or the names of a block's own operations.
        input_shape, output_shape: of one sample, without the batch axis.
        kernel_size, stride, padding: as text, empty where there is none. "same" is given as numbers.
        parameters: weights and biases; a layer that is called twice has them once.
        multiply_adds: of convolutions and matrix products, for one sample.
        receptive_field: input pixels per spatial dim that one output value depends on; None for all of them.
        activation_bytes: the output for one sample; 0 for views and in-place layers, which need no new memory.
    """

    name: str
    layer: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    kernel_size: str
    stride: str
    padding: str
    parameters: int
    multiply_adds: int
    receptive_field: tuple[int, ...] | None
    activation_bytes: int


@dataclass(frozen=True)
class Inspection:
    """A network's layers in the order of their work.

    Attributes:
        weight_bytes: of all parameters as they are stored.
        fully_connected: how the first fully connected layer comes by its number of inputs; empty without one.
    """

    input_shape: tuple[int, ...]
    layers: list[Layer]
    parameters: int
    weight_bytes: int
    fully_connected: str

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        return sum(layer.activation_bytes for layer in self.layers)


def inspect_model(model: nn.Module, input_shape: Sequence[int]) -> Inspection:
    """Send one sample of `input_shape` through the network on the meta device: no memory, no arithmetic.

    Receptive fields follow the longest path and ignore normalisation; attention, global pooling and fully connected
    layers see everything. They reach into the padding, so they may be larger than the data.

    Raises:
        ValueError: naming the first layer that does not fit, its settings and the sizes.
    """
    from torch.utils.flop_counter import FlopCounterMode  # imports Triton, which those who only read shapes do not need

    output_shape(model, input_shape)
    probe = copy.deepcopy(model).to("meta").eval()
    sample = torch.empty(1, *input_shape, device="meta")
    # torchinfo knows neither stride, padding nor receptive fields and counts additions of biases as multiply-adds.
    with torch.no_grad(), FlopCounterMode(display=False) as flops, _Recorder(flops, sample) as recorder:
        for name, module in probe.named_modules():
            module.register_forward_pre_hook(recorder.enter(name))
            module.register_forward_hook(recorder.leave)
        probe(sample)
    parameters = list(model.parameters())
    return Inspection(
        input_shape=tuple(input_shape),
        layers=recorder.layers,
        parameters=sum(parameter.numel() for parameter in parameters),
        weight_bytes=sum(parameter.nbytes for parameter in parameters),
        fully_connected=_fully_connected(recorder.layers),
    )


def layer_table(inspection: Inspection) -> list[list[str]]:
    """A header, a row per layer and the totals, as cells of text."""
    header = ["name", "layer", "input", "output", "kernel", "stride", "padding"]
    rows = [[*header, "parameters", "multiply-adds", "receptive field", "memory KiB"]]
    for layer in inspection.layers:
        shapes = [joined_sizes(shape) for shape in (layer.input_shape, layer.output_shape)]
        texts = [layer.name or "(network)", layer.layer, *shapes]
        texts += [layer.kernel_size, layer.stride, layer.padding, f"{layer.parameters:,}", f"{layer.multiply_adds:,}"]
        seen = "all" if layer.receptive_field is None else joined_sizes(layer.receptive_field)
        rows.append([*texts, seen, f"{layer.activation_bytes / 1024:,.2f}"])
    totals = [f"{inspection.parameters:,}", f"{inspection.multiply_adds:,}", ""]
    rows.append(["total", *[""] * 6, *totals, f"{inspection.activation_bytes / 1024:,.2f}"])
    return rows


def joined_sizes(sizes: Iterable[int]) -> str:
    """(10, 7, 7) as 10x7x7."""
    return "x".join(map(str, sizes))


@dataclass(frozen=True)
class _Field:
    """Per spatial dim the extent that a value sees, and the distance between neighbours, in input pixels."""

    extent: tuple[float | Fraction, ...]
    distance: tuple[Fraction, ...]

    def through(self, kernel: Sequence[int], stride: Sequence[int | Fraction]) -> "_Field":
        # torch runs 1-D pooling as 2-D with a kernel of (1, k)
        dims = len(self.extent)
        axes = zip(self.extent, self.distance, kernel[-dims:], stride[-dims:], strict=True)
        grown = [(extent + (k - 1) * distance, distance * s) for extent, distance, k, s in axes]
        return _Field(tuple(extent for extent, _ in grown), tuple(distance for _, distance in grown))

    def everything(self) -> "_Field":
        return _Field((math.inf,) * len(self.extent), self.distance)

    def joined(self, other: "_Field") -> "_Field":
        return _Field(
            tuple(map(max, self.extent, other.extent)),
            tuple(map(max, self.distance, other.distance)),
        )


@dataclass
class _Call:
    """A module at work, and what it computes itself between the layers inside it."""

    name: str
    module: nn.Module
    inputs: Tensor
    input_shape: tuple[int, ...]
    is_leaf: bool = True
    output: Tensor | None = None
    operations: list[str] = field(default_factory=list)
    num_flops: int = 0
    num_bytes: int = 0


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each of torch's operations and charges it to the innermost module at work.

    Receptive fields belong to storages, which views and in-place operations share.
    """

    def __init__(self, flops: "FlopCounterMode", sample: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: list[Layer] = []
        self._flops = flops
        self._calls: list[_Call] = []
        self._counted: set[int] = set()
        dims = sample.dim() - 2
        self._fields = {_storage(sample): _Field((Fraction(1),) * dims, (Fraction(1),) * dims)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = self._flops.get_total_flops()
        result = func(*args, **(kwargs or {}))
        known = [self._fields[_storage(tensor)] for tensor in _tensors(args) if _storage(tensor) in self._fields]
        if known:
            outputs = list(_tensors([result]))
            operation = func.overloadpacket.__name__
            call = self._calls[-1]
            call.output = outputs[0]
            call.num_flops += self._flops.get_total_flops() - before
            is_new = _storage(outputs[0]) not in self._fields
            if is_new:
                call.num_bytes += outputs[0].nbytes
            if is_new or operation.endswith("_"):
                call.operations.append(operation.strip("_"))
            seen = _widened(functools.reduce(_Field.joined, known), operation, args, outputs[0])
            self._fields |= {_storage(tensor): seen for tensor in outputs}
        return result

    def enter(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any) -> None:
            if self._calls:
                self._calls[-1].is_leaf = False
                self._add_own_operations(self._calls[-1])
            tensor = next(_tensors(inputs))
            self._calls.append(_Call(name, module, tensor, tuple(tensor.shape[1:])))

        return hook

    def leave(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        call = self._calls.pop()
        if not call.is_leaf:
            self._add_own_operations(call)
            return
        output = next(_tensors([outputs]))
        if isinstance(module, nn.Linear) and call.inputs.dim() == 2:
            self._fields[_storage(output)] = self._fields[_storage(output)].everything()
        num_bytes = 0 if _storage(output) == _storage(call.inputs) else output.nbytes
        self._add(call, type(module).__name__, output, num_bytes)

    def _add_own_operations(self, call: _Call) -> None:
        if call.operations and call.output is not None:
            names = list(dict.fromkeys(call.operations))
            self._add(call, ", ".join(names[:3]) + (", …" if len(names) > 3 else ""), call.output, call.num_bytes)
            call.operations, call.num_flops, call.num_bytes = [], 0, 0

    def _add(self, call: _Call, layer: str, output: Tensor, num_bytes: int) -> None:
        parameters = [p for p in call.module.parameters(recurse=call.is_leaf) if id(p) not in self._counted]
        self._counted |= {id(parameter) for parameter in parameters}
        extent = self._fields[_storage(output)].extent
        kernel_size, stride, padding = _window(call.module, output.dim() - 2)
        self.layers.append(
            Layer(
                name=call.name,
                layer=layer,
                input_shape=call.input_shape,
                output_shape=tuple(output.shape[1:]),
                kernel_size=kernel_size,
                stride=stride,
                padding=padding,
                parameters=sum(parameter.numel() for parameter in parameters),
                multiply_adds=call.num_flops // 2,
                receptive_field=None if math.inf in extent else tuple(math.ceil(size) for size in extent),
                activation_bytes=num_bytes,
            )
        )


def _storage(tensor: Tensor) -> StorageWeakRef:
    """Equal for all tensors that share memory, and for no others, however long ago they were."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _widened(seen: _Field, operation: str, args: Sequence[Any], result: Tensor) -> _Field:
    """The receptive field behind one of torch's operations, whose arguments are (input, kernel, stride, …)."""
    if operation == "convolution":
        _, weight, _, stride, _, dilation, *_ = args
        return seen.through([d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)], stride)
    if operation in ("avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"):
        kernel = args[1]
        stride = args[2] if len(args) > 2 and args[2] else kernel
        dilation = args[4] if operation.startswith("max") and len(args) > 4 else [1] * len(kernel)
        return seen.through([d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)], stride)
    if operation in ("mean", "bmm"):  # global pooling; attention
        return seen.everything()
    if "adaptive" in operation or operation.startswith("upsample"):
        sizes = list(zip(args[0].shape[2:], result.shape[2:], strict=True))
        if "adaptive" in operation and all(size == 1 for _, size in sizes):
            return seen.everything()
        # windows that do not divide the map overlap by one; enlarging by interpolation mixes two neighbours
        kernel = [2 if after > before else -(-before // after) + (before % after > 0) for before, after in sizes]
        return seen.through(kernel, [Fraction(before, after) for before, after in sizes])
    return seen


def _window(module: nn.Module, dims: int) -> tuple[str, str, str]:
    """kernel_size, stride and padding as text."""
    kernel = getattr(module, "kernel_size", None)
    if kernel is None:
        return "", "", ""
    kernel, stride = _per_dim(kernel, dims), _per_dim(module.stride, dims)
    if module.padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, _per_dim(module.dilation, dims), strict=True)]
        padding = [str(n // 2) if n % 2 == 0 else f"{n // 2}+{n // 2 + 1}" for n in totals]
    else:
        padding = [str(n) for n in _per_dim(0 if module.padding == "valid" else module.padding, dims)]
    return joined_sizes(kernel), _once(map(str, stride)), _once(padding)


def _once(texts: Iterable[str]) -> str:
    """One number if it is the same in all dims, as torch takes it, else one per dim."""
    texts = list(texts)
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def _per_dim(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def _fully_connected(layers: list[Layer]) -> str:
    """Where the first linear layer on flat vectors has its inputs from, for example 10 x 7 x 7 = 490."""
    for index, layer in enumerate(layers):
        if layer.layer not in ("Linear", "NonDynamicallyQuantizableLinear") or len(layer.input_shape) != 1:
            continue
        (num_inputs,) = layer.input_shape
        before = [shape for past in layers[:index] for shape in (past.input_shape, past.output_shape)]
        shape = next((shape for shape in reversed(before) if len(shape) > 1), ())
        text = f"first fully connected layer, {layer.name}: "
        if math.prod(shape) != num_inputs or not shape:
            return f"{text}{num_inputs} inputs"
        axes = f"channels x {_AXES.get(len(shape) - 1, 'positions')}"
        return f"{text}{' x '.join(map(str, shape))} = {num_inputs} inputs ({axes})"
    return ""
