"""Joins the processes of a run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lightning.pytorch import Trainer
from omegaconf import DictConfig

from cnnlab.distributed.launcher import Launcher
from cnnlab.distributed.together import Together
from cnnlab.speed import lightning_internals


def join(
    trainer: Trainer, config: DictConfig, run_dir: Path, when_all_are_there: Callable[[], None]
) -> AbstractContextManager[None]:
    """Let a Trainer start and watch the other processes of its run while the returned context lasts.

    Args:
        config: of the run, which the others get; its run folder is run_dir.
        when_all_are_there: what the first process does before the training, when all processes have begun.

    Raises:
        UserError: when the context ends because another process is lost.
    """
    if trainer.strategy.launcher is None and trainer.world_size == 1:
        when_all_are_there()
        return nullcontext()
    trainer.callbacks.insert(0, Together(run_dir, config.seed, when_all_are_there))  # type: ignore[attr-defined]
    launcher = Launcher(trainer, config, run_dir)
    lightning_internals.set_launcher(trainer, launcher)
    lightning_internals.leave_signals_alone(trainer)
    return launcher.running()
