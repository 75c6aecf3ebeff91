"""The order in which images and their features lie in memory: trainer.channels_last."""

import logging
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from cnnlab.runs.atomic import write_atomically
from cnnlab.speed.hardware import resolve_accelerator

log = logging.getLogger(__name__)

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

    Where a CPU's gradients would be wrong, the network is contiguous even if the run has asked for the other order, or
    had it on a GPU before.
    """
    if isinstance(config.trainer.channels_last, bool):
        on_cpu = resolve_accelerator(config.trainer.accelerator) == "cpu"
        if config.trainer.channels_last and on_cpu and (layers := _overrun(model)):
            log.info(
                "note    trainer.channels_last: not on this CPU, where oneDNN computes the layer %s wrongly", layers[0]
            )
            config.trainer.channels_last = False
            model.to(memory_format=torch.contiguous_format)
        return
    config.trainer.channels_last = keeps_channels_last(config, model)
    saved = run_dir / ".hydra/config.yaml"
    if saved.is_file():
        before = OmegaConf.load(saved)
        before.trainer.channels_last = config.trainer.channels_last
        write_atomically(saved, OmegaConf.to_yaml(before).encode())
