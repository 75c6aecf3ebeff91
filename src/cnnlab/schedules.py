"""Learning-rate schedules: their length in steps, when they advance, and checks against the run."""

import inspect
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, Timer
from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from cnnlab.direction import direction_of_part
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

# The entry of a group of parameters by which its rate differs from the optimizer's.
RATE_FACTOR = "rate_factor"

# The arguments by which a schedule sets rates itself, whatever the optimizer's are.
_RATE_ARGUMENTS = ("max_lr", "base_lr")

# The argument for the length of a schedule in optimizer steps, followed by arguments that may replace it.
_LENGTH_ARGUMENTS = (("total_steps", "epochs", "steps_per_epoch"), ("T_max",))


def schedule_config(
    scheduler: Callable[..., LRScheduler],
    optimizer: Optimizer,
    optimizer_settings: Mapping[str, Any],
    module: LightningModule,
) -> LRSchedulerConfigType:
    """Build a schedule as long as the run, with the settings by which Lightning advances it.

    Args:
        scheduler: builds the schedule from the optimizer.
        optimizer_settings: the optimizer's settings as the user has given them.
        module: the LightningModule of the run, attached to its Trainer.

    Raises:
        UserError: if the schedule ends before the run.
    """
    trainer = module.trainer
    values_before = dict(optimizer.param_groups[0])
    argument = length_argument(scheduler)
    length = {argument: num_steps(trainer)} if argument else {}
    schedule = scheduler(optimizer, **length, **_rates_of_groups(scheduler, optimizer))
    _check_length(schedule, trainer)
    _log_overruled_settings(schedule, optimizer_settings, values_before, trainer)
    monitor = getattr(module, "monitor", "val/loss")
    return {
        "scheduler": schedule,
        "interval": "step" if _length_arguments(scheduler) else "epoch",
        "monitor": monitor,
        "frequency": _frequency(schedule, monitor, trainer),
    }


def length_argument(scheduler: Callable[..., LRScheduler] | None) -> str | None:
    """Return the name of the argument to which the run's number of steps must be passed.

    It is None if the schedule has no fixed length, or if the user has already chosen the length.
    """
    arguments = _length_arguments(scheduler)
    is_given = any(value not in (inspect.Parameter.empty, None) for value in arguments.values())
    return None if is_given else next(iter(arguments), None)


def _rates_of_groups(scheduler: Callable[..., LRScheduler], optimizer: Optimizer) -> dict[str, list[float]]:
    """Return the rates that the schedule sets, one for each group of parameters, if some have a rate of their own."""
    factors = [group.get(RATE_FACTOR, 1.0) for group in optimizer.param_groups]
    if set(factors) == {1.0}:
        return {}
    given = {name: inspect.signature(scheduler).parameters.get(name) for name in _RATE_ARGUMENTS}
    rates = {name: parameter.default for name, parameter in given.items() if parameter is not None}
    return {
        name: [rate * factor for factor in factors] for name, rate in rates.items() if isinstance(rate, int | float)
    }


def num_steps(trainer: Trainer) -> int:
    """Return the number of optimizer steps of a whole run.

    Lightning's own estimate assumes that gradients are accumulated over the same number of batches in every epoch.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    accumulation = [callback for callback in callbacks if isinstance(callback, GradientAccumulationScheduler)]
    steps = trainer.estimated_stepping_batches
    if not accumulation or trainer.max_epochs in (-1, None) or steps == math.inf:
        return int(steps)
    batches_per_step = (accumulation[0].get_accumulate_grad_batches(epoch) for epoch in range(trainer.max_epochs))
    steps = sum(math.ceil(trainer.num_training_batches / batches) for batches in batches_per_step)
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


def _check_length(schedule: LRScheduler, trainer: Trainer) -> None:
    """Raise UserError if a schedule that fails after its last step is shorter than the run."""
    length = getattr(schedule, "total_steps", None)
    if length is None:
        return
    steps = num_steps(trainer) if trainer.estimated_stepping_batches != math.inf else math.inf
    if steps > length:
        raise UserError(f"scheduler: {type(schedule).__name__} was given {length} steps, but the run has {steps}")


def _frequency(schedule: LRScheduler, monitor: str, trainer: Trainer) -> int:
    """Return after how many epochs or steps a schedule advances.

    One that waits for a plateau of a validation metric can only advance after a validation.
    """
    needs_validation = isinstance(schedule, ReduceLROnPlateau) and monitor.startswith("val/")
    return trainer.check_val_every_n_epoch or 1 if needs_validation else 1


def plateau_mode(
    schedule_class: Callable[..., Any], mode: str | None, monitor: str, run_mode: str | None
) -> dict[str, str]:
    """Return the argument `mode` for a schedule that waits for a plateau of the run's metric; {} for any other.

    Args:
        mode: the schedule's own mode, None if it has none.
        monitor, run_mode: the metric by which the run is judged, and its mode, None if the name implies it.

    Raises:
        UserError: if the schedule's mode contradicts the metric.
    """
    if not (isinstance(schedule_class, type) and issubclass(schedule_class, ReduceLROnPlateau)):
        return {}
    return {"mode": direction_of_part("scheduler.mode", monitor, mode, monitor, run_mode)}


def _log_overruled_settings(
    schedule: LRScheduler, optimizer_settings: Mapping[str, Any], values_before: dict[str, Any], trainer: Trainer
) -> None:
    """Log the optimizer settings that the schedule overwrites, and a time limit that may end the run too early for it.

    Args:
        values_before: the optimizer's first parameter group before the schedule was built.
    """
    name = type(schedule).__name__
    for key, value in optimizer_settings.items():
        if key in ("momentum", "betas") and schedule.optimizer.param_groups[0][key] != values_before[key]:
            log.info("note    %s changes optimizer.%s in every step;", name, key)
            log.info("        scheduler.cycle_momentum=false keeps it at %s", value)
    length = getattr(schedule, "total_steps", None) or getattr(schedule, "T_max", None)
    if length and any(isinstance(callback, Timer) for callback in trainer.callbacks):  # type: ignore[attr-defined]
        log.info("note    trainer.max_time may end the run before its schedule, %s of %s steps", name, length)


def _length_arguments(scheduler: Callable[..., LRScheduler] | None) -> dict[str, Any]:
    """Return the arguments that set a schedule's length, with the values that the user has given."""
    if scheduler is None:
        return {}
    parameters = inspect.signature(scheduler).parameters
    names = next((names for names in _LENGTH_ARGUMENTS if names[0] in parameters), ())
    return {name: parameters[name].default for name in names if name in parameters}
