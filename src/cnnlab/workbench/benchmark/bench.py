"""One configuration of train.py, and the parts that training loops over it are made of."""

import copy
import functools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from timeit import default_timer
from types import SimpleNamespace
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor, nn
from torch.optim import Optimizer

from cnnlab import building
from cnnlab.cli.config_errors import in_one_line
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError
from cnnlab.instantiation import build
from cnnlab.overrides import for_hydra
from cnnlab.runs import ranks
from cnnlab.speed import hardware
from cnnlab.workbench.benchmark.measuring import Row

PROJECT = Path(__file__).resolve().parents[4]
CONF = PROJECT / "conf"


class Bench:
    """The data, network and optimizer that train.py would use with these overrides, on a device.

    Args:
        overrides: as train.py takes them.
        device: auto, cpu, cuda or mps; it beats what the overrides say.

    Attributes:
        machine: device, precision, and the device's name.
        data: as train.py reads it; each data set is read once a process.

    Raises:
        UserError: for overrides that train.py would refuse.
    """

    def __init__(self, overrides: Sequence[str], device: str = "auto") -> None:
        self.config = compose_config([*overrides, *([] if device == "auto" else [f"trainer.accelerator={device}"])])
        trainer = self.config.trainer
        with open_dict(trainer):
            ranks.make_alone(trainer)
        self.machine = hardware.choose(trainer.accelerator, trainer.precision, trainer.num_threads)
        hardware.apply(self.machine)
        self.device = torch.device(self.machine.accelerator)
        self.data = _build_data(self.config)
        self.data.accelerator = self.machine.accelerator
        self.batch_size: int = self.config.data.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return len(self.data.training) // self.batch_size

    def model(self, channels_last: bool | None = None) -> nn.Module:
        """The network with the weights of its seed, in the config's memory layout unless told otherwise."""
        config = self.config.copy()
        if channels_last is not None:
            config.trainer.channels_last = channels_last
        torch.manual_seed(config.seed)
        return building.build_model(config, self.data.input_shape, self.data.num_classes, self.data.vocabulary).to(
            self.device
        )

    def optimizer(self, model: nn.Module) -> Optimizer:
        built: Optimizer = build(self.config, "optimizer")(model.parameters())
        return built

    def batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        """The training batches of a run on this device."""
        self._attach_data()
        return self.data.train_dataloader()

    def validation_batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        """The validation batches of a run on this device."""
        self._attach_data()
        return self.data.val_dataloader()

    def _attach_data(self) -> None:
        run: Any = SimpleNamespace(global_rank=0, world_size=1, strategy=SimpleNamespace(root_device=self.device))
        self.data.trainer = run

    def autocast(self, precision: str) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, torch.bfloat16) if precision == "bf16-mixed" else nullcontext()

    def clock(self) -> float:
        """Seconds, once the device has done what it was told to."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
        return default_timer()

    def described(self, rows: list[Row], precisions: Mapping[str, str] | None = None) -> list[Row]:
        """The rows with what they were measured on; `precisions` of variants that have another than the run's."""
        shared = {"threads": torch.get_num_threads(), "dataset": self.data.dataset}
        shared |= {"steps_per_epoch": self.steps_per_epoch, "precision": self.machine.precision}
        own = {variant: {"precision": precision} for variant, precision in (precisions or {}).items()}
        return [
            {**row, "images": row["steps"] * self.batch_size, **shared, **own.get(row["variant"], {})} for row in rows
        ]


def compose_config(overrides: Sequence[str]) -> DictConfig:
    rewritten = for_hydra(list(overrides))
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("train", rewritten)
    except Exception as error:
        raise UserError(in_one_line(error, CONF, "train", list(overrides))) from error


def _build_data(config: DictConfig) -> DataModule:
    shared = config.copy()
    shared.data.batch_size = 1
    data = copy.copy(_read(OmegaConf.to_yaml({"data": shared.data, "augment": shared.augment, "seed": shared.seed})))
    data.check_batch_size(config.data.batch_size)
    data.batch_size = config.data.batch_size
    return data


@functools.cache
def _read(config: str) -> DataModule:
    return building.build_data(OmegaConf.create(config))  # type: ignore[arg-type]
