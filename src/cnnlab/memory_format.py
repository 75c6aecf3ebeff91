"""The order in which images and their features lie in memory: trainer.channels_last."""

from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically
from cnnlab.speed.hardware import resolve_accelerator

_CACHE_LINE = 16  # numbers in float32
_LANES = 16  # numbers in float32 that the widest registers of a CPU hold


def keeps_channels_last(config: DictConfig, model: nn.Module) -> bool:
    """Return trainer.channels_last, and for `auto` whether this order suits the network and the present threads.

    Most kernels are faster with it. Batch normalisation by several CPU threads is not where no number of channels is a
    multiple of 16: each thread adds up its own sums, which lie side by side in memory, and two threads that write to
    the same cache line wait for each other.

    oneDNN, which computes convolutions on x86 CPUs, writes beyond its memory in the backward pass of a strided
    convolution that is 1 wide and has few input channels in this order (github.com/uxlfoundation/oneDNN/issues/6035):
    the gradient is wrong, or the process crashes.
    """
    setting: bool | str = config.trainer.channels_last
    if isinstance(setting, bool):
        return setting
    if resolve_accelerator(config.trainer.accelerator) != "cpu":
        return True
    if _overrun(model):
        return False
    norms = [layer.num_features for layer in model.modules() if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d)]
    share_lines = bool(norms) and all(num_channels % _CACHE_LINE for num_channels in norms)
    return not (share_lines and torch.get_num_threads() > 1)


def _overrun(model: nn.Module) -> list[str]:
    """The layers whose weights' gradient oneDNN computes wrongly in channels_last order."""
    return [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Conv3d)
        and set(layer.kernel_size) == {1}
        and max(layer.stride) > 1
        and layer.in_channels // layer.groups < _LANES
    ]


def settle_memory_format(config: DictConfig, run_dir: Path, model: nn.Module) -> None:
    """Replace trainer.channels_last=auto by its meaning, also in the config that the run saves.

    A resumed run and an evaluation have the same order then, whatever threads and device they have.

    Raises:
        UserError: if channels_last is asked for, or was the order on a GPU, where a CPU's gradients would be wrong.
    """
    if isinstance(config.trainer.channels_last, bool):
        on_cpu = resolve_accelerator(config.trainer.accelerator) == "cpu"
        if config.trainer.channels_last and on_cpu and (layers := _overrun(model)):
            raise UserError(
                f"trainer.channels_last=true would give wrong gradients on a CPU: the model's layer {layers[0]} is a "
                f"convolution of kernel size 1 with a stride and fewer than {_LANES} input channels, which PyTorch's "
                "oneDNN computes wrongly in this order; add trainer.channels_last=false"
            )
        return
    config.trainer.channels_last = keeps_channels_last(config, model)
    saved = run_dir / ".hydra/config.yaml"
    if saved.is_file():
        before = OmegaConf.load(saved)
        before.trainer.channels_last = config.trainer.channels_last
        write_atomically(saved, OmegaConf.to_yaml(before).encode())
