"""data.batch_size=auto: the largest batch of a training step that fits into the GPU's memory."""

import copy
import gc
import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch import LightningModule
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from cnnlab.data.datamodule import DEFAULT_BATCH_SIZE, DataModule
from cnnlab.errors import UserError
from cnnlab.instantiation import build
from cnnlab.runs import ranks
from cnnlab.runs.atomic import write_atomically
from cnnlab.speed.hardware import Hardware

log = logging.getLogger(__name__)

# Larger batches hardly train faster, and an epoch of few steps learns less.
LARGEST = 512
# Devices with a memory of their own.
LIMITED = ("cuda",)


def settle_batch_size(
    config: DictConfig, run_dir: Path, machine: Hardware, classifier: LightningModule, datamodule: DataModule
) -> None:
    """Replace data.batch_size=auto by a number: in the data module, in the config and in the one that the run saves.

    On a GPU of NVIDIA's it is the largest power of two up to 512 whose training step fits into the memory. Other
    devices use the computer's own memory, which seldom is too small for a step; there it is the default, 32.

    Raises:
        UserError: if not even one sample fits, or the run has several processes, of which each would find its own size.
    """
    if config.data.get("batch_size") != "auto":
        return
    if not ranks.is_alone(config.trainer):
        raise UserError("data.batch_size=auto needs a single device; give a number")
    if machine.accelerator in LIMITED:
        size = _found(config, machine, classifier, datamodule)
        _free_memory()
        scaled = scaled_rate(config, size / DEFAULT_BATCH_SIZE)
        advice = f"; if optimizer.lr={config.optimizer.lr:g} is good for {DEFAULT_BATCH_SIZE}, try {scaled}"
        log.info("batch   %d samples a step fit into the GPU's memory%s", size, advice if scaled else "")
    else:
        size = datamodule.batch_size
        log.info("batch   %d samples a step, the default: memory is no limit on the %s", size, machine.accelerator)
    datamodule.batch_size = config.data.batch_size = size
    saved = run_dir / ".hydra/config.yaml"
    if saved.is_file():
        before = OmegaConf.load(saved)
        before.data.batch_size = size
        write_atomically(saved, OmegaConf.to_yaml(before).encode())


def scaled_rate(config: DictConfig, factor: float) -> str:
    """The override for the learning rate that suits a batch so many times as large; "" for an optimizer without one.

    SGD's rate grows with the batch (Goyal et al., 2017), that of Adam and its relatives with the batch's square root
    (Malladi et al., 2022), because they divide by the size of the gradient.
    """
    rate = config.optimizer.get("lr")
    if not isinstance(rate, int | float):
        return ""
    is_sgd = str(config.optimizer.get("_target_")).endswith(".SGD")
    return f"optimizer.lr={rate * (factor if is_sgd else math.sqrt(factor)):.2g}"


def largest_that_fits(step: Callable[[int], None], largest: int) -> int:
    """Return the largest power of two up to `largest` for which step(size) does not run out of memory.

    Raises:
        UserError: if not even one sample fits.
    """
    size: int = 2 ** (largest.bit_length() - 1)
    while True:
        try:
            step(size)
            return size
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise UserError(
                    "not even one sample fits into the GPU's memory; try a smaller network or smaller samples"
                ) from error
            log.info("batch   %d samples a step do not fit into the GPU's memory", size)
        # After the except clause, which would keep the step's tensors alive.
        _free_memory()
        size //= 2


def _found(config: DictConfig, machine: Hardware, classifier: LightningModule, datamodule: DataModule) -> int:
    """Try training steps on the device, beside the data that will lie there."""
    device = torch.device(machine.accelerator)
    data = datamodule.train_dataloader()  # holds the data on the device, if they belong there
    sample = next(iter(data))[0][:1]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        step = _trial_step(config, machine, classifier, sample.to(device))
        return largest_that_fits(step, min(LARGEST, len(datamodule.training)))


def _trial_step(
    config: DictConfig, machine: Hardware, classifier: LightningModule, sample: Tensor
) -> Callable[[int], None]:
    """Return a training step of a copy of the network on a batch of so many samples."""
    model = copy.deepcopy(classifier.get_submodule("model")).to(sample.device).train()
    optimizer = build(config, "optimizer")(model.parameters())

    def step(size: int) -> None:
        batch = sample.expand(size, *sample.shape[1:]).contiguous()
        with torch.autocast(sample.device.type, torch.bfloat16, enabled=machine.precision == "bf16-mixed"):
            loss = model(batch).float().sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
