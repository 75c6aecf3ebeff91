"""The Trainer of a run: conf/trainer, conf/callbacks and conf/logger put together."""

from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from cnnlab import single_process
from cnnlab.checkpoint_io import AtomicCheckpointIO
from cnnlab.errors import UserError
from cnnlab.fast.fast_loop import FastLoop
from cnnlab.hardware import Hardware
from cnnlab.hooks import skip_empty_hooks
from cnnlab.instantiation import build, check_arguments
from cnnlab.timing.stopwatch import Stopwatch


def build_trainer(config: DictConfig, run_dir: Path, machine: Hardware, steps_done: int = 0) -> Trainer:
    """The Trainer with its callbacks and loggers; conf/trainer's keys are its arguments, but for those named here."""
    ours = ("channels_last", "num_threads", "precision", "accelerator", "fast_loop", "cuda_graph")
    settings = OmegaConf.masked_copy(config.trainer, [str(key) for key in config.trainer if key not in ours])
    check_arguments("trainer", Trainer, settings, ours)
    arguments: dict[str, Any] = {"devices": 1, "num_sanity_val_steps": 0, "enable_model_summary": False}
    arguments["profiler"] = Stopwatch()
    arguments |= OmegaConf.to_container(settings, resolve=True)  # type: ignore[arg-type]
    callbacks = [build(config, f"callbacks.{name}") for name in config.callbacks or {}]
    skip_empty_hooks(callbacks)
    try:
        trainer = Trainer(
            **arguments,
            accelerator=machine.accelerator,
            precision=machine.precision,  # type: ignore[arg-type]
            logger=_build_loggers(config, run_dir, steps_done) or False,
            log_every_n_steps=1,  # what is logged is logged once an epoch
            callbacks=callbacks,
            enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            plugins=[AtomicCheckpointIO(), *single_process.plugins(arguments)],
            default_root_dir=run_dir,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    if config.trainer.get("fast_loop"):
        trainer.fit_loop.epoch_loop = FastLoop(trainer, config.trainer.get("cuda_graph", False))
    return trainer


def _build_loggers(config: DictConfig, run_dir: Path, steps_done: int) -> list[Logger]:
    loggers = []
    for name, node in (config.logger or {}).items():
        given: dict[str, Any] = {"save_dir": str(run_dir)}
        if steps_done and node["_target_"].endswith("TensorBoardLogger"):
            given["purge_step"] = steps_done + 1
        loggers.append(build(config, f"logger.{name}", **given))
    return loggers
