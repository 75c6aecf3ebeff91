"""The learning-rate range test (Smith, 2017): some steps, each with a higher rate, and what their losses suggest."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf, open_dict
from scipy.ndimage import gaussian_filter1d

from cnnlab.building import build_classifier, build_data, build_model, check_top_level
from cnnlab.errors import UserError
from cnnlab.pretrained import load_pretrained  # only: zoo
from cnnlab.runs import ranks
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.schedules import RATE_FACTOR
from cnnlab.speed import hardware
from cnnlab.trainer import build_trainer

# The losses are smoothed over this part of all steps; that of a single batch jumps too much to be read.
_WINDOWS = 60
# The test ends when the mean of some losses is so many times as large as the smallest such mean.
_DIVERGED, _NUM_AVERAGED = 3.0, 5
# A loss has fallen if it is below this share of the first.
_FALLEN = 0.98
_FEWEST_STEPS = 20
# The suggestion as a share of the rate with the lowest loss.
SHARE = 1 / 3

Floats = NDArray[np.float64]


class RangeTest(NamedTuple):
    """What came out.

    Attributes:
        rates, losses: of every step, until the loss had diverged.
        smooth: the losses without their jumps from batch to batch.
        best_rate: where `smooth` is lowest.
        suggestion: the rate to train with.
        batch_size: of the steps, on which the best rate depends.
        warning: what makes the suggestion doubtful, "" for nothing.
    """

    rates: Floats
    losses: Floats
    smooth: Floats
    best_rate: float
    suggestion: float
    batch_size: int = 0
    warning: str = ""


def run_range_test(config: DictConfig, lowest: float, highest: float, steps: int) -> RangeTest:
    """Train a new network for some steps whose rate grows by the same factor each time, and throw it away.

    Raises:
        UserError: for bad input, or if the loss never falls.
    """
    if not 0 < lowest < highest:
        raise UserError(f"expected 0 < lowest < highest, got lowest={lowest} and highest={highest}")
    if steps < _FEWEST_STEPS:
        raise UserError(f"steps must be at least {_FEWEST_STEPS}, got {steps}")
    quieten_libraries()
    check_top_level(config)
    config = _for_a_test(config, steps)
    seed_everything(config.seed, verbose=False)
    machine = hardware.choose(config.trainer.accelerator, config.trainer.precision, config.trainer.num_threads)
    hardware.apply(machine)
    datamodule = build_data(config, machine.accelerator)
    model = build_model(config, datamodule.input_shape, datamodule.num_classes, datamodule.vocabulary)
    load_pretrained(config, model, datamodule)  # only: zoo
    classifier = build_classifier(config, model, datamodule)
    trainer = build_trainer(config, Path(), machine, classifier)
    climb = Climb(lowest, highest, steps)
    trainer.callbacks.append(climb)  # type: ignore[attr-defined]
    trainer.fit(classifier, datamodule=datamodule)
    return read(climb.rates, climb.losses)._replace(batch_size=datamodule.batch_size)


def read(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Suggest a third of the rate at which the loss is lowest.

    There the loss still falls, and it is far enough from where it jumps up. The steepest point of the curve, which
    Lightning's own rate finder takes, depends on a few noisy losses.

    Raises:
        UserError: if the loss never falls.
    """
    smooth = gaussian_filter1d(np.asarray(losses, dtype=float), len(losses) / _WINDOWS, mode="nearest")
    best = int(np.argmin(smooth))
    if smooth[best] > _FALLEN * smooth[0]:
        raise UserError(
            f"the loss does not fall at any rate from {rates[0]:g} to {rates[-1]:g}: try other values of lowest= and "
            "highest=, more steps=, or check the model with trainer=overfit"
        )
    warning = ""
    if best > 0.95 * len(rates):
        warning = "the loss was still falling at the highest rate; give a larger highest="
    return RangeTest(
        np.array(rates), np.array(losses), smooth, rates[best], float(f"{rates[best] * SHARE:.1e}"), warning=warning
    )


class Climb(Callback):
    """Raise the rate in every step and note the loss, until it has diverged.

    Args:
        lowest, highest: the rates of the first and the last step.
        steps: how many.
    """

    def __init__(self, lowest: float, highest: float, steps: int) -> None:
        self.planned = np.geomspace(lowest, highest, steps).tolist()
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.lowest_mean = math.inf

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        rate = self.planned[min(trainer.global_step, len(self.planned) - 1)]
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get(RATE_FACTOR, 1.0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if outputs.get("loss") is None or trainer.global_step <= len(self.rates):
            return  # no loss, or one of several batches whose gradients are added up
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches
        if not math.isfinite(loss):
            trainer.should_stop = True
            return
        self.rates.append(self.planned[len(self.rates)])
        self.losses.append(loss)
        mean = sum(self.losses[-_NUM_AVERAGED:]) / len(self.losses[-_NUM_AVERAGED:])
        self.lowest_mean = min(self.lowest_mean, mean)
        trainer.should_stop = mean > _DIVERGED * self.lowest_mean


def _for_a_test(config: DictConfig, steps: int) -> DictConfig:
    """The config of a training of so many steps that measures nothing and writes nothing."""
    copy: DictConfig = OmegaConf.create(OmegaConf.to_container(config, resolve=True))  # type: ignore[assignment]
    with open_dict(copy):
        copy.callbacks, copy.logger = {}, {}
        copy.scheduler = {
            "_target_": "torch.optim.lr_scheduler.ConstantLR",
            "_partial_": True,
            "factor": 1.0,
        }
        copy.trainer.update({"max_steps": steps, "max_epochs": -1, "limit_val_batches": 0})
        copy.trainer.update({"fast_loop": False, "cuda_graph": False, "compile": False})
        ranks.make_alone(copy.trainer)
        copy.trainer.pop("limit_train_batches", None)
    return copy
