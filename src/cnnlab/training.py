"""One training run, from a composed config to metrics.json: the one place where the parts meet."""

import logging
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, seed_everything
from omegaconf import DictConfig
from torch import nn

from cnnlab import failures, hardware, resuming, run_record
from cnnlab.blocks.shapes import output_shape, settle_lazy_layers
from cnnlab.callbacks.checkpoint import load_scored_weights
from cnnlab.checkpoint_io import load_checkpoint
from cnnlab.commands import short_path
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import Infeasible, UserError, did_you_mean
from cnnlab.hooks import skip_empty_hooks
from cnnlab.instantiation import accepts, build, check_top_level, target
from cnnlab.quiet import quieten_libraries
from cnnlab.schedules import length_argument, plateau_mode
from cnnlab.trainer import build_trainer

log = logging.getLogger(__name__)

_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


def train(config: DictConfig, run_dir: Path) -> run_record.Objective:
    """Train, test the best weights once, and leave everything in `run_dir`; with config.resume continue what is there.

    Returns:
        The value of config.monitor at the best epoch, which is also what metrics.json holds; if config.objectives
        names several of its numbers, a list of those.

    Raises:
        UserError: for bad input, in one line.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP, with the command that continues the run.
    """
    quieten_libraries()
    check_top_level(config)
    if config.resume and (finished := resuming.finished(config, run_dir)):
        log.info("%s is finished; trainer.max_epochs= or trainer.max_steps= would extend it", short_path(run_dir))
        log.info(run_record.table(finished, run_dir))
        return run_record.objective(config, finished)
    seed_everything(config.seed, verbose=False)
    machine = hardware.choose(config.trainer.accelerator, config.trainer.precision, config.trainer.num_threads)
    datamodule = build_data(config)
    model = build_model(config, datamodule.input_shape, datamodule.num_classes)
    classifier = build_classifier(config, model, datamodule)
    last = resuming.checkpoint(config, run_dir)
    steps_done = 0
    if last is not None:
        steps_done = load_checkpoint(last)["global_step"]
        fixed_length = length_argument(getattr(classifier, "scheduler", None)) is not None
        resuming.check(config, run_dir, datamodule.dataset, datamodule.checksums, fixed_length)
    trainer = build_trainer(config, run_dir, machine, steps_done)
    datamodule.check_processes(trainer.world_size)
    run_record.write_json(run_dir / "environment.json", run_record.environment(machine, datamodule.description()))
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    log.info("model  %s, %s parameters", type(model).__name__, f"{num_parameters:,}")
    log.info("device %s, %s", machine.device, machine.precision)
    for logger in trainer.loggers:
        logger.log_hyperparams(run_record.hyperparameters(config, datamodule.dataset, machine))

    with failures.explained(run_dir, datamodule.batch_size):
        trainer.fit(classifier, datamodule=datamodule, ckpt_path=last)
        scores = run_record.scores(trainer)
        if config.test:
            load_scored_weights(trainer)
            trainer.test(classifier, datamodule=datamodule, verbose=False)
            scores |= run_record.scores_of("test", trainer)
    metrics = {
        "dataset": datamodule.dataset,
        "model": type(model).__name__,
        **scores,
        "num_parameters": num_parameters,
        "batch_size": datamodule.batch_size * trainer.world_size,
        "seed": config.seed,
        "device": machine.device,
        "precision": machine.precision,
    }
    run_record.log_outcome(trainer, metrics)
    run_record.write_time(trainer, datamodule, run_dir)
    run_record.write_json(run_dir / "metrics.json", metrics)
    log.info(run_record.table(metrics, run_dir))
    return run_record.objective(config, metrics)


def build_data(config: DictConfig) -> DataModule:
    """Read the data set and say what it holds."""
    datamodule: DataModule = build(config, "data", augment=build(config, "augment"), seed=config.seed)
    try:
        datamodule.setup()
    except UserError as error:
        raise UserError(f"data: {error}") from error
    log.info(datamodule.summary())
    return datamodule


def build_model(config: DictConfig, shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Build the network for samples of a shape (C, *spatial) and check that it maps them to one logit per class.

    Raises:
        Infeasible: if no network comes of these settings.
    """
    try:
        model: nn.Module = build(config, "model", input_shape=shape, num_classes=num_classes)
        settle_lazy_layers(model, shape)
        logits = output_shape(model, shape)
    except UserError as error:
        raise Infeasible(str(error)) from error
    except ValueError as error:
        raise Infeasible(f"model: {error}") from error
    if logits != (num_classes,):
        raise UserError(f"model: expected logits of shape (N, {num_classes}), got (N, {', '.join(map(str, logits))})")
    memory_format = _CHANNELS_LAST.get(len(shape) - 1)
    if config.trainer.channels_last and memory_format is not None:
        model = model.to(memory_format=memory_format)
    return model


def build_classifier(config: DictConfig, model: nn.Module, datamodule: DataModule) -> LightningModule:
    """Put the model into its LightningModule; settings that optimizer, scheduler or monitor refuse are found here."""
    mode = plateau_mode(target(config, "scheduler"), config.scheduler.get("mode"), config.monitor, config.mode)
    optimizer, scheduler = build(config, "optimizer"), build(config, "scheduler", **mode)
    length = length_argument(scheduler)
    if length and config.trainer.max_epochs == config.trainer.get("max_steps", -1) == -1:
        raise UserError("a run without an end (trainer.max_epochs=-1) needs scheduler=none or scheduler=step")
    scheduler(optimizer(model.parameters()), **({length: 100} if length else {}))
    module = target(config, "classifier")
    learnt = getattr(module, "targets", datamodule.targets)
    if learnt != datamodule.targets:
        raise UserError(
            f"classifier: {module.__name__} learns {learnt}, but the data hold {datamodule.targets}; "
            "classifier._target_= names another LightningModule (see CONTRIBUTING.md, another task)"
        )
    known = {"input_shape": datamodule.input_shape, "num_classes": datamodule.num_classes}
    wanted = {name: value for name, value in known.items() if accepts(module, name)}
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, **wanted}
    classifier: LightningModule = build(config, "classifier", **parts)
    skip_empty_hooks([classifier])
    monitorable = getattr(classifier, "monitorable", [config.monitor])
    if config.monitor not in monitorable:
        choices = ", ".join(monitorable)
        nearest = did_you_mean(config.monitor, monitorable)
        raise UserError(f"monitor must be one of {choices}, got {config.monitor!r}{nearest}")
    classifier.monitor = config.monitor  # what a schedule waits for
    return classifier
