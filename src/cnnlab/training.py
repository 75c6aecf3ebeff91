"""One training run, from a composed config to metrics.json: the one place where the parts meet."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import nn

from cnnlab import hardware, run_record
from cnnlab.blocks.shapes import output_shape
from cnnlab.callbacks.checkpoint import Checkpoint
from cnnlab.callbacks.throughput import Throughput
from cnnlab.checkpoint_io import AtomicCheckpointIO, load_checkpoint
from cnnlab.classifier import length_argument
from cnnlab.data.datamodule import TensorDataModule
from cnnlab.errors import Interrupted, UserError, did_you_mean
from cnnlab.instantiation import build, check_arguments, check_value, refuse_untrusted_targets

log = logging.getLogger(__name__)

_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


def train(config: DictConfig, run_dir: Path) -> float | None:
    """Train, test the best epoch once, and leave everything in `run_dir`; with config.resume continue what is there.

    Returns:
        The value of config.monitor at the best epoch, which is also what metrics.json holds.

    Raises:
        UserError: for bad input, in one line.
        Interrupted: after Ctrl-C or SIGTERM, with the command that continues the run.
    """
    _quieten_libraries()
    _check_top_level(config)
    if config.trainer.num_threads is not None:
        torch.set_num_threads(config.trainer.num_threads)
    seed_everything(config.seed, verbose=False)
    accelerator = hardware.resolve_accelerator(config.trainer.accelerator)
    precision = hardware.resolve_precision(config.trainer.precision, accelerator)
    device = hardware.device_name(accelerator)
    if config.resume:
        refuse_untrusted_targets(config, f"the config saved in {run_record.short_path(run_dir)}")

    datamodule = build_data(config)
    model = build_model(config, datamodule)
    classifier = build_classifier(config, model, datamodule)
    last = load_checkpoint(run_dir / "checkpoints/last.ckpt") if config.resume else None
    if last is not None:
        _check_resume(config, run_dir, datamodule, last, classifier)
    trainer = _build_trainer(config, run_dir, accelerator, precision, last)
    run_record.write_json(
        run_dir / "environment.json", run_record.environment(device, precision, datamodule.description())
    )
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    log.info("model  %s, %s parameters", type(model).__name__, f"{num_parameters:,}")
    log.info("device %s, %s", device, precision)
    columns = run_record.hyperparameters(config, dataset=datamodule.dataset, precision=precision, device=device)
    for logger in trainer.loggers:
        logger.log_hyperparams(columns)

    with _explain(config, run_dir):
        trainer.fit(classifier, datamodule=datamodule, ckpt_path=run_dir / "checkpoints/last.ckpt" if last else None)
        checkpoint = trainer.checkpoint_callback
        best = checkpoint.best_model_path if isinstance(checkpoint, Checkpoint) else None
        if config.test:
            trainer.test(classifier, datamodule=datamodule, ckpt_path=best or None, verbose=False)
    metrics = {
        "dataset": datamodule.dataset,
        "model": type(model).__name__,
        **_scores(trainer),
        "num_parameters": num_parameters,
        "batch_size": config.data.get("batch_size"),
        "seed": config.seed,
        "device": device,
        "precision": precision,
    }
    run_record.write_json(run_dir / "metrics.json", metrics)
    log.info(run_record.table(metrics, run_dir))
    return metrics.get(config.monitor)


def build_data(config: DictConfig) -> TensorDataModule:
    """Read the data set and say in one line what it holds."""
    datamodule: TensorDataModule = build(config, "data", augment=build(config, "augment"), seed=config.seed)
    try:
        datamodule.setup()
    except UserError as error:
        raise UserError(f"data: {error}") from error
    log.info(
        "data   %s: %s training and %s validation samples of %s, %d classes",
        datamodule.dataset,
        f"{len(datamodule.training):,}",
        f"{len(datamodule.validation):,}",
        "x".join(map(str, datamodule.input_shape)),
        datamodule.num_classes,
    )
    return datamodule


def build_model(config: DictConfig, datamodule: TensorDataModule) -> nn.Module:
    """Build the network for the data's shape and check that it maps it to one logit per class."""
    shape, num_classes = datamodule.input_shape, datamodule.num_classes
    model: nn.Module = build(config, "model", input_shape=shape, num_classes=num_classes)
    try:
        logits = output_shape(model, shape)
    except ValueError as error:
        raise UserError(f"model: {error}") from error
    if logits != (num_classes,):
        raise UserError(f"model: expected logits of shape (N, {num_classes}), got (N, {', '.join(map(str, logits))})")
    memory_format = _CHANNELS_LAST.get(len(shape) - 1)
    if config.trainer.channels_last and memory_format is not None:
        model = model.to(memory_format=memory_format)
    return model


def build_classifier(config: DictConfig, model: nn.Module, datamodule: TensorDataModule) -> LightningModule:
    """Put the model into its LightningModule; settings that optimizer, scheduler or monitor refuse are found here."""
    optimizer, scheduler = build(config, "optimizer"), build(config, "scheduler")
    length = length_argument(scheduler)
    scheduler(optimizer(model.parameters()), **({length: 100} if length else {}))
    classifier: LightningModule = build(
        config,
        "classifier",
        model=model,
        optimizer=optimizer,
        scheduler=scheduler,
        input_shape=datamodule.input_shape,
        num_classes=datamodule.num_classes,
    )
    monitorable = getattr(classifier, "monitorable", [config.monitor])
    if config.monitor not in monitorable:
        choices = ", ".join(monitorable)
        nearest = did_you_mean(config.monitor, monitorable)
        raise UserError(f"monitor must be one of {choices}, got {config.monitor!r}{nearest}")
    return classifier


def _build_trainer(
    config: DictConfig, run_dir: Path, accelerator: str, precision: str, last: dict[str, Any] | None
) -> Trainer:
    ours = ("channels_last", "num_threads", "precision", "accelerator")
    settings = OmegaConf.masked_copy(config.trainer, [str(key) for key in config.trainer if key not in ours])
    check_arguments("trainer", Trainer, settings, ours)
    max_epochs = config.trainer.max_epochs
    if max_epochs < 1 and max_epochs != -1:
        raise UserError(f"trainer.max_epochs must be at least 1, or -1 for no end, got {max_epochs}")
    arguments: dict[str, Any] = {
        "devices": 1,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
        "precision": precision,
    }
    arguments |= {str(key): value for key, value in OmegaConf.to_container(settings, resolve=True).items()}  # type: ignore[union-attr]
    try:
        return Trainer(
            **arguments,
            accelerator=accelerator,
            logger=_build_loggers(config, run_dir, last),
            callbacks=[build(config, f"callbacks.{name}") for name in config.callbacks or {}],
            plugins=[AtomicCheckpointIO()],
            default_root_dir=run_dir,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error


def _build_loggers(config: DictConfig, run_dir: Path, last: dict[str, Any] | None) -> list[Logger] | bool:
    loggers = []
    for name in config.logger or {}:
        given: dict[str, Any] = {"save_dir": str(run_dir)}
        if last is not None and config.logger[name]["_target_"].endswith("TensorBoardLogger"):
            given["purge_step"] = last["global_step"] + 1
        loggers.append(build(config, f"logger.{name}", **given))
    return loggers or False


def _check_resume(
    config: DictConfig, run_dir: Path, datamodule: TensorDataModule, last: dict[str, Any], classifier: LightningModule
) -> None:
    """Refuse to go on with other data, or beyond the end of a schedule whose length is fixed."""
    before = run_record.read_json(run_dir / "environment.json")
    if before and (before["dataset"], before["data_checksums"]) != (datamodule.dataset, dict(datamodule.checksums)):
        raise UserError(
            f"resume: the run was trained on {before['dataset']} {before['data_checksums']}, but what is found now is "
            f"{datamodule.dataset} {dict(datamodule.checksums)}; give data.root= of the first data"
        )
    saved = OmegaConf.load(run_dir / ".hydra/config.yaml").trainer.max_epochs
    scheduler = getattr(classifier, "scheduler", None)
    if config.trainer.max_epochs != saved and scheduler is not None and length_argument(scheduler):
        raise UserError(
            f"resume: trainer.max_epochs={config.trainer.max_epochs} is refused, the run's schedule "
            f"({config.scheduler['_target_'].rpartition('.')[2]}) was laid out for {saved} epochs; "
            "start a new run, or use scheduler=none or scheduler=step when a run may grow"
        )
    log.info("resume after epoch %d of %s", last["epoch"] + 1, config.trainer.max_epochs)


def _scores(trainer: Trainer) -> dict[str, Any]:
    """Metrics of the best epoch (the last one without a Checkpoint callback), the test's, and the time it took."""
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    chosen, best_epoch = logged, trainer.current_epoch
    checkpoint = trainer.checkpoint_callback
    if isinstance(checkpoint, Checkpoint) and checkpoint.best_epoch is not None:
        chosen, best_epoch = checkpoint.best_metrics, checkpoint.best_epoch
    tested = {name: value for name, value in logged.items() if name.startswith("test/")}
    scores: dict[str, Any] = {
        name: run_record.rounded(value)
        for name, value in sorted((chosen | tested).items())
        if name.startswith(("train/", "val/", "test/"))
    }
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    throughput = next((callback for callback in callbacks if isinstance(callback, Throughput)), Throughput())
    return scores | {
        "best_epoch": best_epoch,
        "epochs": trainer.current_epoch,
        "train_seconds": round(throughput.train_seconds, 3),
        "images_per_second": round(throughput.images_per_second, 1),
    }


@contextmanager
def _explain(config: DictConfig, run_dir: Path) -> Iterator[None]:
    """Turn what may go wrong on the way into one line that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        batch_size = config.data.batch_size
        raise UserError(
            f"out of GPU memory with data.batch_size={batch_size}; try data.batch_size={max(1, batch_size // 2)}"
        ) from error
    except MisconfigurationException as error:
        raise UserError(" ".join(str(error).split())) from error
    except Interrupted as stop:
        has_checkpoint = (run_dir / "checkpoints/last.ckpt").is_file()
        stop.advice = (
            f"continue with: {run_record.resume_command(run_dir)}"
            if has_checkpoint
            else "no epoch was finished, so there is nothing to resume"
        )
        raise


def _check_top_level(config: DictConfig) -> None:
    """Check the types of train.yaml's own keys; every group is checked against the signature of its class."""
    for key, hint in {"seed": int, "monitor": str, "mode": Literal["min", "max"], "test": bool}.items():
        check_value(key, config[key], hint)
    if config.seed < 0:
        raise UserError(f"seed must not be negative, got {config.seed}")
    for key, hint in {"num_threads": int | None, "channels_last": bool, "accelerator": str, "max_epochs": int}.items():
        check_value(f"trainer.{key}", config.trainer[key], hint)


def _quieten_libraries() -> None:
    """Hide what libraries say of their own future, of choices made here on purpose, and of other products."""
    for message in (".*LeafSpec.*", ".*Checkpoint directory .* exists.*", ".*does not have many workers.*"):
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
