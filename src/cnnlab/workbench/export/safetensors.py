"""safetensors (https://github.com/huggingface/safetensors): weights alone, in a file that cannot hold code."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from cnnlab.building import build_model
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.shuffled_axis import ShuffledAxis
from cnnlab.saved_run import SavedModel

USAGE = """\
import json, safetensors, safetensors.torch, torch
model.load_state_dict(safetensors.torch.load_file({path!r}))  # model: the run's, made anew
about = safetensors.safe_open({path!r}, "pt").metadata()
scale, mean, std = (torch.tensor(json.loads(about[name])) for name in ("scale", "mean", "std"))
normalised = (scale * inputs - mean.reshape({per_channel})) / std.reshape({per_channel})
outputs = model.eval()(normalised)  # inputs: tensor, float32 {shape}"""


def pack(saved: SavedModel, metadata: dict[str, str]) -> bytes:
    """The weights by their names in the network, which takes normalised inputs; metadata as the file's."""
    from safetensors.torch import save

    # Copies: weights that share memory, or have their channels last in memory, are refused.
    weights = {
        name: value.clone(memory_format=torch.contiguous_format) for name, value in saved.model.state_dict().items()
    }
    content: bytes = save(weights, metadata)
    return content


def load(path: Path, saved: SavedModel) -> Callable[[Tensor], Tensor]:
    """A function that computes with a new network, the file's weights and the file's normalisation."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    data, shape = saved.data, saved.data["input_shape"]
    model = build_model(saved.config, tuple(shape), data["num_classes"], data.get("vocabulary")).eval()
    model.load_state_dict(load_file(path))
    with safe_open(path, "pt") as file:
        about = {name: json.loads(file.metadata()[name]) for name in ("mean", "std", "scale")}
    normalise = Normalise(**about, num_spatial_dims=len(shape) - 1, device=torch.device("cpu"))
    arrange = ShuffledAxis.of(data) or (lambda inputs: inputs)
    return lambda inputs: model(normalise(arrange(inputs)))
