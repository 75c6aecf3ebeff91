"""What a schedule needs to know of its run, and what it takes from the optimizer."""

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

from cnnlab.direction import inherited
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

# What schedules of a fixed length call their number of optimizer steps, and what else may say it.
_LENGTH_ARGUMENTS = (("total_steps", "epochs", "steps_per_epoch"), ("T_max",))


def lay_out(
    scheduler: Callable[..., LRScheduler], optimizer: Optimizer, given: Mapping[str, Any], module: LightningModule
) -> LRSchedulerConfigType:
    """A schedule of the length of the module's run, and when Lightning is to let it advance.

    Args:
        given: the optimizer's settings as the user gives them.

    Raises:
        UserError: if the schedule cannot go on to the end of the run.
    """
    trainer, before = module.trainer, dict(optimizer.param_groups[0])
    argument = length_argument(scheduler)
    schedule = scheduler(optimizer, **({argument: num_steps(trainer)} if argument else {}))
    _check(schedule, trainer)
    _say_what_is_overruled(schedule, given, before, trainer)
    monitor = getattr(module, "monitor", "val/loss")
    return {
        "scheduler": schedule,
        "interval": "step" if _length_arguments(scheduler) else "epoch",
        "monitor": monitor,
        "frequency": _epochs_between_looks(schedule, monitor, trainer),
    }


def length_argument(scheduler: Callable[..., LRScheduler] | None) -> str | None:
    """Return the argument through which a schedule wants the run's number of steps.

    None if it has no fixed length, or if the user has given it one.
    """
    arguments = _length_arguments(scheduler)
    is_given = any(value not in (inspect.Parameter.empty, None) for value in arguments.values())
    return None if is_given else next(iter(arguments), None)


def num_steps(trainer: Trainer) -> int:
    """The optimizer steps of a whole run, also where the number of batches to a step changes with the epoch."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    changes = [callback for callback in callbacks if isinstance(callback, GradientAccumulationScheduler)]
    steps = trainer.estimated_stepping_batches
    if not changes or trainer.max_epochs in (-1, None) or steps == math.inf:
        return int(steps)
    batches_a_step = (changes[0].get_accumulate_grad_batches(epoch) for epoch in range(trainer.max_epochs))
    steps = sum(math.ceil(trainer.num_training_batches / batches) for batches in batches_a_step)
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


def _check(schedule: LRScheduler, trainer: Trainer) -> None:
    """Raise UserError if a schedule that cannot go on after its last step ends before the run."""
    last = getattr(schedule, "total_steps", None)
    if last is None:
        return
    steps = num_steps(trainer) if trainer.estimated_stepping_batches != math.inf else math.inf
    if steps > last:
        raise UserError(f"scheduler: {type(schedule).__name__} was given {last} steps, but the run has {steps}")


def _epochs_between_looks(schedule: LRScheduler, monitor: str, trainer: Trainer) -> int:
    """How often a schedule advances, in epochs or steps: one that waits for a plateau, after a validation only."""
    is_validated = isinstance(schedule, ReduceLROnPlateau) and monitor.startswith("val/")
    return trainer.check_val_every_n_epoch or 1 if is_validated else 1


def plateau_mode(target: Callable[..., Any], given: str | None, monitor: str, mode: str | None) -> dict[str, str]:
    """The argument `mode` of a schedule that waits for a plateau: the run's, so that it waits for the same.

    Args:
        target: the schedule's class.
        given: the schedule's own mode, None if it has none.
        monitor, mode: what the run is judged by and its direction, None where the name tells it.

    Raises:
        UserError: if the schedule is told another direction than that of `monitor`.
    """
    waits = isinstance(target, type) and issubclass(target, ReduceLROnPlateau)
    return {"mode": inherited("scheduler.mode", monitor, given, monitor, mode)} if waits else {}


def _say_what_is_overruled(
    schedule: LRScheduler, given: Mapping[str, Any], before: dict[str, Any], trainer: Trainer
) -> None:
    """Log settings that the schedule does not leave as the user has given them, and an end that may cut it short.

    Args:
        before: the optimizer's first parameter group as it was without a schedule.
    """
    name = type(schedule).__name__
    for key, value in given.items():
        if key in ("momentum", "betas") and schedule.optimizer.param_groups[0][key] != before[key]:
            note = (
                "note   optimizer.%s=%s is not used: %s changes it in every step, unless scheduler.cycle_momentum=false"
            )
            log.info(note, key, value, name)
    has_an_end = getattr(schedule, "total_steps", None) or getattr(schedule, "T_max", None)
    if has_an_end and any(isinstance(callback, Timer) for callback in trainer.callbacks):  # type: ignore[attr-defined]
        log.info("note   trainer.max_time may end the run before its schedule, %s of %s steps", name, has_an_end)


def _length_arguments(scheduler: Callable[..., LRScheduler] | None) -> dict[str, Any]:
    """What a schedule calls its length in steps, and what else may say it, with the values the user has given."""
    if scheduler is None:
        return {}
    parameters = inspect.signature(scheduler).parameters
    names = next((names for names in _LENGTH_ARGUMENTS if names[0] in parameters), ())
    return {name: parameters[name].default for name in names if name in parameters}
