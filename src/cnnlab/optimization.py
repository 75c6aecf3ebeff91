"""An optimizer with its schedule, as Lightning wants them: for any LightningModule."""

import inspect
from collections.abc import Callable, Iterable

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

# What schedules of a fixed length call their number of optimizer steps.
_LENGTH_ARGUMENTS = ("total_steps", "T_max")


def optimization(
    module: LightningModule,
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
    scheduler: Callable[..., LRScheduler],
) -> OptimizerLRScheduler:
    """What configure_optimizers returns.

    Args:
        optimizer: takes the module's parameters, returns the optimizer.
        scheduler: takes the optimizer; an argument total_steps or T_max gets the run's number of steps and makes the
            schedule advance every step, otherwise it advances every epoch.
    """
    built = optimizer(module.parameters())
    length = {}
    if argument := length_argument(scheduler):
        length[argument] = int(module.trainer.estimated_stepping_batches)
    return {
        "optimizer": built,
        "lr_scheduler": {
            "scheduler": scheduler(built, **length),
            "interval": "step" if length else "epoch",
            "monitor": "val/loss",  # for schedules that wait for a plateau
        },
    }


def length_argument(scheduler: Callable[..., LRScheduler] | None) -> str | None:
    """Return the argument through which a schedule wants the run's number of steps, None if it has no fixed length."""
    if scheduler is None:
        return None
    return next((name for name in _LENGTH_ARGUMENTS if name in inspect.signature(scheduler).parameters), None)
