"""ONNX (https://onnx.ai): networks for onnxruntime, browsers, phones and other languages."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from cnnlab.saved_run import SavedModel
from cnnlab.workbench.export.graph import exporting, with_normalisation

_INPUT, _OUTPUT = "input", "output"
_ERRORS_ONLY = 3

USAGE = f"""\
import onnxruntime
session = onnxruntime.InferenceSession({{path!r}})
outputs = session.run(None, {{{{"{_INPUT}": inputs}}}})[0]  # inputs: NumPy, float32 {{shape}}"""


def pack(saved: SavedModel, metadata: dict[str, str]) -> bytes:
    """The network with its normalisation; metadata as the model's metadata_props."""
    import onnx

    network, call = with_normalisation(saved)
    with exporting():
        exported = torch.onnx.export(
            network, **call, dynamo=True, input_names=[_INPUT], output_names=[_OUTPUT], verbose=False
        )
        assert exported is not None
        for node in exported.model.graph.all_nodes():
            node.metadata_props.clear()  # where in the source code it comes from
        exported.model.metadata_props.update(metadata)
        model = exported.model_proto
        onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
    return content


def load(path: Path, saved: SavedModel) -> Callable[[Tensor], Tensor]:
    """A function that lets onnxruntime compute the outputs on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    with exporting():
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: torch.from_numpy(session.run([_OUTPUT], {_INPUT: inputs.numpy()})[0])
