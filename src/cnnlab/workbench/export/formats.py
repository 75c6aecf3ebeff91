"""The formats a network can be exported to."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from cnnlab.errors import UserError, did_you_mean
from cnnlab.saved_run import SavedModel
from cnnlab.workbench.export import onnx, safetensors, torch_export


class Format(NamedTuple):
    """How a file of one kind is made and read.

    Attributes:
        suffix: of its files.
        packages: what it needs beside torch.
        pack: (run, metadata) to the file's content.
        normalises: whether its files take inputs as stored, or normalised ones.
        load: (file, run) to a function from inputs as stored, float32 (N, C, *spatial), to the network's outputs.
        usage: Python that uses the file; {path}, {shape} and {per_channel} are to be filled in.
    """

    suffix: str
    packages: tuple[str, ...]
    pack: Callable[[SavedModel, dict[str, str]], bytes]
    normalises: bool
    load: Callable[[Path, SavedModel], Callable[[Tensor], Tensor]]
    usage: str


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxscript", "onnxruntime"), onnx.pack, True, onnx.load, onnx.USAGE),
    "torch_export": Format(".pt2", (), torch_export.pack, True, torch_export.load, torch_export.USAGE),
    "safetensors": Format(
        ".safetensors", ("safetensors",), safetensors.pack, False, safetensors.load, safetensors.USAGE
    ),
}


def find(name: str) -> Format:
    """The format of that name.

    Raises:
        UserError: if there is none, or a package that it needs is not installed.
    """
    if name not in FORMATS:
        raise UserError(f"format must be one of {', '.join(FORMATS)}, got {name!r}{did_you_mean(name, FORMATS)}")
    packages = FORMATS[name].packages
    if any(importlib.util.find_spec(package) is None for package in packages):
        *others, last = packages
        needed = f"{', '.join(others)} and {last}" if others else last
        raise UserError(f'format={name} needs {needed}: pip install -e ".[export]"')
    return FORMATS[name]
