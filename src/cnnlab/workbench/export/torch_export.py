"""torch.export: a network that PyTorch runs without the source code it was written in."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, fx

from cnnlab.saved_run import SavedModel
from cnnlab.workbench.export.graph import exporting, with_normalisation

USAGE = """\
import torch
network = torch.export.load({path!r}).module()
outputs = network(inputs)  # inputs: tensor, float32 {shape}"""

METADATA = "metadata.json"


def pack(saved: SavedModel, metadata: dict[str, str]) -> bytes:
    """The network with its normalisation; metadata as the extra file metadata.json."""
    buffer = io.BytesIO()
    network, call = with_normalisation(saved)
    with exporting():
        program = torch.export.export(network, **call)
        _forget_source_files(program)
        torch.export.save(program, buffer, extra_files={METADATA: json.dumps(metadata)})
    return buffer.getvalue()


def load(path: Path, saved: SavedModel) -> Callable[[Tensor], Tensor]:
    """A function that lets the exported graph compute the outputs on the CPU."""
    with exporting():
        return torch.export.load(path).module()


def _forget_source_files(program: torch.export.ExportedProgram) -> None:
    """The file would name the folders of the machine it was made on."""
    for module in program.graph_module.modules():
        if isinstance(module, fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
