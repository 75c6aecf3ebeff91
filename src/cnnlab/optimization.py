"""The optimizer and the learning-rate schedule of a LightningModule, in the form that Lightning expects."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cnnlab import schedules
from cnnlab.speed.torch_internals import leave_unscaling_to_the_trainer


def optimization(
    module: LightningModule,
    optimizer: Callable[[Any], Optimizer],
    scheduler: Callable[..., LRScheduler],
) -> OptimizerLRScheduler:
    """Return the result for configure_optimizers of a LightningModule.

    A callback may divide the parameters into groups with rates of their own, by a method `parameter_groups` that takes
    the module and returns the optimizer's groups. An entry `rate_factor` of a group multiplies its rate.

    A schedule that waits for a plateau watches the module's attribute `monitor`, which holds what the run is judged by.

    Args:
        optimizer: takes the module's parameters or groups of them, returns the optimizer.
        scheduler: takes the optimizer; one with an argument total_steps or T_max advances every step and gets the
            run's number of steps unless the user has given one, any other advances every epoch.

    Raises:
        UserError: if the schedule is to end before the run.
    """
    trainer = module.trainer
    built = optimizer(_parameters(module))
    for group in built.param_groups:
        group["lr"] *= group.get(schedules.RATE_FACTOR, 1.0)
    if trainer.gradient_clip_val or getattr(trainer.precision_plugin, "scaler", None) is None:
        # A fused optimizer takes float16's scale out of the gradients in its own step, which is too late for clipping.
        # Lightning therefore refuses to clip the gradients of one, even in bfloat16, where there is no scale.
        leave_unscaling_to_the_trainer(built)
    given = getattr(inspect.unwrap(optimizer), "keywords", {})
    return {"optimizer": built, "lr_scheduler": schedules.schedule_config(scheduler, built, given, module)}


def _parameters(module: LightningModule) -> Iterable[nn.Parameter] | list[dict[str, Any]]:
    for callback in module.trainer.callbacks:  # type: ignore[attr-defined]
        if hasattr(callback, "parameter_groups"):
            groups: list[dict[str, Any]] = callback.parameter_groups(module)
            return groups
    return module.parameters()
