"""Builds the Trainer of a run from conf/trainer, conf/callbacks and conf/logger."""

import logging
import re
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder, ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.profilers import AdvancedProfiler, Profiler, PyTorchProfiler, SimpleProfiler
from omegaconf import DictConfig, OmegaConf

from cnnlab.direction import direction_of_part
from cnnlab.distributed.environment import check_number, environment
from cnnlab.errors import UserError, did_you_mean
from cnnlab.instantiation import build, check_arguments, takes_argument, target
from cnnlab.runs import ranks, tracking
from cnnlab.runs.checkpoint_io import AtomicCheckpointIO
from cnnlab.runs.commands import short_path
from cnnlab.runs.csv_rows import keep_rows
from cnnlab.speed import compiling, fast_loop, hardware, lightning_internals
from cnnlab.speed.stopwatch import Stopwatch

log = logging.getLogger(__name__)

# Keys of conf/trainer that are not arguments of Lightning's Trainer, or not passed to it as they are; runs of version
# 1.0 have trainer.lean, which nothing needs any more.
_OURS = ("channels_last", "num_threads", "precision", "accelerator", "lean", "fast_loop", "cuda_graph", "compile")

# Arguments of Lightning's Trainer for which this project has other keys.
_INSTEAD = {
    "logger": "logger=none, csv or tensorboard, among others, chooses the loggers",
    "callbacks": "conf/callbacks lists them; +callbacks.<name>._target_=<class> adds one",
    "enable_checkpointing": "~callbacks.checkpoint leaves best.ckpt and last.ckpt out",
    "enable_progress_bar": "~callbacks.progress leaves bar and lines out",
    "enable_model_summary": "the run's first lines name the network and count its parameters",
    "default_root_dir": "hydra.run.dir names the run folder",
    "plugins": "trainer.precision and trainer.strategy choose those of Lightning",
    "overfit_batches": "trainer=overfit trains on one batch, data.train_size trains on few samples; "
    "batches are drawn anew in every epoch",
    "barebones": "trainer.fast_loop=auto, the default, leaves out what costs time",
}
_FINDERS: dict[type[Callback], str] = {
    BatchSizeFinder: "python train.py -m data.batch_size=32,128,512 compares batch sizes",
    LearningRateFinder: 'python train.py -m "optimizer.lr=0.001,0.003,0.01" compares rates',
}
_PROFILERS: dict[str, type[Profiler]] = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    "pytorch": PyTorchProfiler,
}


def choose_hardware(settings: DictConfig) -> hardware.Hardware:
    """Choose what this process computes on by conf/trainer; the processes on a machine share its CPU cores out."""
    accelerator = hardware.resolve_accelerator(settings.accelerator, for_processes=not ranks.is_alone(settings))
    devices = settings.get("devices")
    if accelerator == "cpu" and devices not in (None, "auto") and not re.fullmatch("[1-9][0-9]*", str(devices)):
        raise UserError(f"trainer.devices on a CPU is the number of processes, at least 1, got {devices}")
    num_processes = ranks.num_local(settings, torch.cuda.device_count() if accelerator == "cuda" else 1)
    return hardware.choose(accelerator, settings.precision, settings.num_threads, num_processes=num_processes)


def build_trainer(
    config: DictConfig, run_dir: Path, machine: hardware.Hardware, module: LightningModule, steps_done: int = 0
) -> Trainer:
    """Build the Trainer with its callbacks and loggers. The keys of conf/trainer are its arguments, except for _OURS.

    Args:
        module: what the Trainer is to train or test.
        steps_done: optimizer steps that a resumed run has behind it.

    Raises:
        UserError: for an argument that Trainer does not have or refuses, or that another key decides.
    """
    settings = OmegaConf.masked_copy(config.trainer, [str(key) for key in config.trainer if key not in _OURS])
    for key, instead in _INSTEAD.items():
        if key in settings:
            raise UserError(f"trainer.{key} is not taken: {instead}")
    check_arguments("trainer", Trainer, settings, tuple(_INSTEAD), others=_OURS)
    graph = config.trainer.get("cuda_graph", False)
    wanted = fast_loop.wanted(config.trainer.get("fast_loop", False), graph)
    arguments: dict[str, Any] = {"devices": 1, "num_sanity_val_steps": 0, "enable_model_summary": False}
    arguments["log_every_n_steps"] = 1  # everything here is logged once an epoch, so nothing may be skipped
    arguments |= OmegaConf.to_container(settings, resolve=True)  # type: ignore[arg-type]
    arguments["profiler"] = _build_profiler(arguments.get("profiler"), run_dir)
    callbacks = _build_callbacks(config)
    try:
        trainer = Trainer(
            **arguments,
            accelerator=machine.accelerator,
            precision=machine.precision,  # type: ignore[arg-type]
            logger=_build_loggers(config, run_dir, steps_done) or False,
            callbacks=callbacks,
            enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            plugins=[AtomicCheckpointIO(), environment(arguments)],
            default_root_dir=run_dir,
        )
    except (MisconfigurationException, ValueError, TypeError, ModuleNotFoundError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    if lightning_internals.starts_processes_from_python(trainer):
        raise UserError(
            "trainer: processes that ddp_spawn, ddp_fork or a notebook starts do not bring their numbers back; "
            "for several processes run python train.py with trainer.strategy=ddp"
        )
    check_number(trainer, arguments)
    if backend := compiling.backend(config.trainer.get("compile", False)):
        compiling.apply(module, backend)
    if wanted:
        fast_loop.apply(trainer, graph, is_asked_for=graph or wanted is True)
    return trainer


def _build_callbacks(config: DictConfig) -> list[Callback]:
    """Build the callbacks. One that watches a metric and has no mode gets it from the name of the metric."""
    callbacks: list[Callback] = []
    for name, node in (config.get("callbacks") or {}).items():
        key, given = f"callbacks.{name}", {}
        if takes_argument(target(config, key), "mode") and node.get("monitor") is not None:
            monitor, mode = config.get("monitor"), config.get("mode")
            given["mode"] = direction_of_part(f"{key}.mode", node.monitor, node.get("mode"), monitor, mode)
        callback: Callback = build(config, key, **given)
        for finder, instead in _FINDERS.items():
            if isinstance(callback, finder):
                raise UserError(f"{key}: {finder.__name__} cannot be used, it trains and resets the run; {instead}")
        callbacks.append(callback)
    return callbacks


def _build_profiler(name: str | None, run_dir: Path) -> Profiler:
    """Build the profiler of Lightning's that the user chose, which writes to the run folder, or else a Stopwatch."""
    if name is None:
        return Stopwatch()
    if not isinstance(name, str) or name not in _PROFILERS:
        choices = ", ".join(_PROFILERS)
        raise UserError(f"trainer.profiler must be one of {choices}, got {name!r}{did_you_mean(str(name), _PROFILERS)}")
    log.info("note    the profile lies in %s/fit-profile.txt, in place of time.json", short_path(run_dir))
    return _PROFILERS[name](dirpath=run_dir, filename="profile")


def _build_loggers(config: DictConfig, run_dir: Path, steps_done: int) -> list[Logger]:
    loggers = []
    for name, node in (config.get("logger") or {}).items():
        kind = target(config, f"logger.{name}")
        given: dict[str, Any] = dict(tracking.arguments(name, kind, run_dir, bool(node.get("offline"))))
        if steps_done and node["_target_"].endswith("TensorBoardLogger"):
            given["purge_step"] = steps_done + 1
        try:
            loggers.append(build(config, f"logger.{name}", **{key: given[key] for key in given if key not in node}))
        except ModuleNotFoundError as error:
            raise tracking.missing_package(name, kind, error) from error
        if steps_done and isinstance(loggers[-1], CSVLogger):
            keep_rows(loggers[-1], steps_done)
    return loggers
