"""The order in which images and their features lie in memory: trainer.channels_last."""

from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from cnnlab.runs.atomic import write_atomically
from cnnlab.speed.hardware import resolve_accelerator

_CACHE_LINE = 16  # numbers in float32


def keeps_channels_last(config: DictConfig, model: nn.Module) -> bool:
    """Return trainer.channels_last, and for `auto` whether this order suits the network and the present threads.

    Most kernels are faster with it. Batch normalisation by several CPU threads is not where no number of channels is a
    multiple of 16: each thread adds up its own sums, which lie side by side in memory, and two threads that write to
    the same cache line wait for each other.
    """
    setting: bool | str = config.trainer.channels_last
    if isinstance(setting, bool):
        return setting
    norms = [layer.num_features for layer in model.modules() if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d)]
    share_lines = bool(norms) and all(num_channels % _CACHE_LINE for num_channels in norms)
    by_threads = torch.get_num_threads() > 1 and resolve_accelerator(config.trainer.accelerator) == "cpu"
    return not (share_lines and by_threads)


def settle_memory_format(config: DictConfig, run_dir: Path, model: nn.Module) -> None:
    """Replace trainer.channels_last=auto by its meaning, also in the config that the run saves.

    A resumed run and an evaluation have the same order then, whatever threads and device they have.
    """
    if isinstance(config.trainer.channels_last, bool):
        return
    config.trainer.channels_last = keeps_channels_last(config, model)
    saved = run_dir / ".hydra/config.yaml"
    if saved.is_file():
        before = OmegaConf.load(saved)
        before.trainer.channels_last = config.trainer.channels_last
        write_atomically(saved, OmegaConf.to_yaml(before).encode())
