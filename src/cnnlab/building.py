"""Builds the parts of a run from its config: data, network and LightningModule."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from torch import nn

from cnnlab.blocks.shapes import output_shape, settle_lazy_layers
from cnnlab.colours import labelled
from cnnlab.data.datamodule import DataModule
from cnnlab.direction import direction
from cnnlab.errors import Infeasible, UserError, did_you_mean
from cnnlab.instantiation import build, check_value, takes_argument, target
from cnnlab.memory_format import keeps_channels_last
from cnnlab.runs import ranks
from cnnlab.runs.locks import in_turn
from cnnlab.schedules import length_argument, plateau_mode
from cnnlab.tasks import metrics

log = logging.getLogger(__name__)

# Precisions that convert a network's inputs to 16 bits, which hold whole numbers up to 256 or 2,048.
_ROUNDING = ("16-true", "bf16-true")
_HINTS = {
    "classes": "classifier=classification learns classes",
    "multilabel": "classifier=multilabel learns several labels at once",
    "values": "classifier=regression learns values",
}
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


def check_top_level(config: DictConfig) -> None:
    """Check the types of train.yaml's own keys; every group is checked against the signature of its class."""
    if not isinstance(config.get("trainer"), DictConfig):
        raise UserError("trainer must be a config, got none; trainer=auto is the default")
    for key, hint in {"seed": int, "monitor": str, "mode": Literal["min", "max"] | None, "test": bool}.items():
        check_value(key, config[key], hint)
    direction(config.monitor, config.mode)
    if config.seed < 0:
        raise UserError(f"seed must not be negative, got {config.seed}")
    max_epochs = config.trainer.max_epochs
    if isinstance(max_epochs, int) and max_epochs < 1 and max_epochs != -1:
        raise UserError(f"trainer.max_epochs must be at least 1, or -1 for no end, got {max_epochs}")
    for key in ("limit_train_batches", "max_steps", "accumulate_grad_batches"):
        if config.trainer.get(key) == 0:
            raise UserError(f"trainer.{key} must not be 0: there would be nothing to train")
    hints = {"num_threads": int | None, "channels_last": bool | Literal["auto"], "accelerator": str, "max_epochs": int}
    for key, hint in hints.items():
        check_value(f"trainer.{key}", config.trainer[key], hint)


def build_data(config: DictConfig, accelerator: str = "cpu") -> DataModule:
    """Read the data set, downloading missing files, and log what it contains.

    The network is built for the shape of the data, so the data are read here. When Lightning calls prepare_data and
    setup again, there is nothing left to do.

    Args:
        accelerator: of the run: cuda, mps or cpu.
    """
    datamodule: DataModule = build(config, "data", augment=build(config, "augment"), seed=config.seed)
    datamodule.accelerator = accelerator
    try:
        _prepare(datamodule, config.get("trainer") or {})
        datamodule.setup()
    except UserError as error:
        raise UserError(f"data: {error}") from error
    log.info(labelled(datamodule.summary()), extra={"in_grid": "once"})
    return datamodule


def _prepare(datamodule: DataModule, trainer: Mapping[Any, Any]) -> None:
    """Let one process of this machine download what is missing; the others wait for it."""
    if not ranks.is_alone(trainer) and ranks.launcher() is not None:
        with in_turn(Path(tempfile.gettempdir())):  # whoever comes later finds the files there
            datamodule.prepare_data()
    elif ranks.is_alone(trainer) or ranks.local_rank() == 0:  # which starts the others after this
        datamodule.prepare_data()


def build_model(
    config: DictConfig, shape: tuple[int, ...], num_classes: int, vocabulary: Sequence[str] | None = None
) -> nn.Module:
    """Build the network for samples of a shape (C, *spatial) and check that it maps them to one logit per class.

    Args:
        vocabulary: of texts, whose samples are numbers of words, see DataModule.vocabulary.

    Raises:
        Infeasible: if no network can be built from these settings.
        UserError: if the network does not return one logit per class.
    """
    words = words_argument(config, vocabulary)
    config = _without_weights(config)  # only: zoo
    try:
        model: nn.Module = build(config, "model", input_shape=shape, num_classes=num_classes, **words)
        settle_lazy_layers(model, shape)
        logits = output_shape(model, shape)
    except UserError as error:
        raise Infeasible(str(error)) from error
    except ValueError as error:
        raise Infeasible(f"model: {error}") from error
    if logits != (num_classes,):
        raise UserError(f"model: expected logits of shape (N, {num_classes}), got (N, {', '.join(map(str, logits))})")
    memory_format = _CHANNELS_LAST.get(len(shape) - 1)
    if memory_format is not None and keeps_channels_last(config, model):
        model = model.to(memory_format=memory_format)
    return model


# only: zoo
def _without_weights(config: DictConfig) -> DictConfig:
    """The config without model.weights, unless the class takes them: they go into the finished network, see pretrained.

    Raises:
        UserError: if they are no text.
    """
    if "weights" not in config.model or takes_argument(target(config, "model"), "weights"):
        return config
    check_value("model.weights", config.model.weights, str | None)
    config = config.copy()
    with open_dict(config):
        del config.model.weights
    return config


# end only
def words_argument(config: DictConfig, vocabulary: Sequence[str] | None) -> dict[str, int]:
    """The argument vocabulary_size of a network that reads texts, nothing for any other.

    Raises:
        UserError: for texts and a network that would take the numbers of words for quantities, the other way round, and
            for a precision that would round the numbers.
    """
    name = getattr(target(config, "model"), "__name__", "model")
    if not takes_argument(target(config, "model"), "vocabulary_size"):
        if vocabulary is not None:
            raise UserError(
                f"model: {name} computes with values, but the data are texts; the model textcnn reads words"
            )
        return {}
    if vocabulary is None:
        raise UserError(f"model: {name} reads texts, but the data are none; rt_polarity and text_csv are")
    if str(OmegaConf.select(config, "trainer.precision")) in _ROUNDING:
        precision = config.trainer.precision
        raise UserError(
            f"trainer.precision={precision} would round the numbers of words; 32-true and bf16-mixed do not"
        )
    return {"vocabulary_size": len(vocabulary)}


def _check_loss_of_mixtures(classifier: LightningModule, num_classes: int) -> None:
    """Raise UserError for a loss that takes no shares of the classes, (N, num_classes), as targets."""
    loss = getattr(classifier, "loss", None)
    try:
        if loss is not None:
            loss(torch.zeros(2, num_classes), torch.full((2, num_classes), 1 / num_classes))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"augment: mixup and cutmix mix labels, which the loss {type(loss).__name__} does not take; "
            "augment.mixup=0 augment.cutmix=0 leave them out"
        ) from error


def build_classifier(
    config: DictConfig, model: nn.Module, datamodule: DataModule, for_training: bool = True
) -> LightningModule:
    """Put the model into its LightningModule, and check the settings of optimizer, scheduler and monitor.

    Lightning builds the optimizer and the schedule when the training begins. They are built once here too, so that a
    mistake in their settings is reported before, and by a search before its first trial.

    Args:
        for_training: False for what is only evaluated, which then has no need of another run.
    """
    mode = plateau_mode(target(config, "scheduler"), config.scheduler.get("mode"), config.monitor, config.mode)
    optimizer, scheduler = build(config, "optimizer"), build(config, "scheduler", **mode)
    length = length_argument(scheduler)
    if length and config.trainer.max_epochs == config.trainer.get("max_steps", -1) == -1:
        raise UserError("a run without an end (trainer.max_epochs=-1) needs scheduler=none or scheduler=step")
    scheduler(optimizer(model.parameters()), **({length: 100} if length else {}))  # of any length, for the check
    module = target(config, "classifier")
    learnt = getattr(module, "targets", datamodule.targets)
    if learnt != datamodule.targets:
        raise UserError(
            f"classifier: {module.__name__} learns {learnt}, but the data hold {datamodule.targets}; "
            + _HINTS.get(datamodule.targets, "classifier._target_= names another LightningModule")
        )
    known = {"input_shape": datamodule.input_shape, "num_classes": datamodule.num_classes}
    known |= {"class_counts": datamodule.class_counts(), "num_samples": len(datamodule.training)}
    known |= {"datamodule": datamodule, "for_training": for_training}
    wanted = {name: value for name, value in known.items() if takes_argument(module, name)}
    config = _with_filled_metrics(config, datamodule.num_classes)
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, **wanted}
    classifier: LightningModule = build(config, "classifier", **parts)
    if getattr(datamodule.augment, "mixes", False):
        _check_loss_of_mixtures(classifier, datamodule.num_classes)
    monitorable = getattr(classifier, "monitorable", [config.monitor])
    if config.monitor not in monitorable:
        choices = ", ".join(monitorable)
        split, _, name = config.monitor.partition("/")
        is_known = split == "val" and takes_argument(module, "metrics") and name in metrics.choices(datamodule.targets)
        hint = f"; classifier.metrics=[{name}] computes it" if is_known else did_you_mean(config.monitor, monitorable)
        raise UserError(f"monitor must be one of {choices}, got {config.monitor!r}{hint}")
    classifier.monitor = config.monitor  # read by a schedule that waits for a plateau
    return classifier


def _with_filled_metrics(config: DictConfig, num_outputs: int) -> DictConfig:
    """Return the config in which metrics that are given as a class have the arguments that the data decide.

    Raises:
        UserError: for a class that cannot be imported.
    """
    nodes = config.classifier.get("metrics")
    if not isinstance(nodes, ListConfig) or not any(isinstance(node, DictConfig) for node in nodes):
        return config
    config = config.copy()
    for number, node in enumerate(config.classifier.metrics):
        if isinstance(node, DictConfig):
            metric = target(config, f"classifier.metrics.{number}")
            wanted = {
                key: value for key, value in metrics.arguments(num_outputs).items() if takes_argument(metric, key)
            }
            with open_dict(node):
                node.update({name: value for name, value in wanted.items() if name not in node})
    return config
