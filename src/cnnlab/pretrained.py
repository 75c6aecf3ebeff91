"""Starts a training from pretrained weights: fits them into the network, and normalises the data as they expect.

Only a new training reads the file. What continues or uses a run finds weights, mean and deviation in its checkpoint.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from omegaconf import DictConfig
from torch import Tensor, nn

from cnnlab.blocks.library_network import Published, is_file
from cnnlab.blocks.weights import first_convolution, load_fitting
from cnnlab.colours import labelled
from cnnlab.data import agreement
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError, did_you_mean
from cnnlab.instantiation import takes_argument, target
from cnnlab.overrides import PRETRAINED
from cnnlab.runs import shipped
from cnnlab.runs.commands import short_path
from cnnlab.runs.resuming import as_written, differences, is_default
from cnnlab.weight_files import Statistics, downloaded, read_weights

log = logging.getLogger(__name__)

# How names begin in a run's checkpoint: Classifier has a `model`, which may have a library's `network`.
_MODEL, _NETWORK = "model.", "model.network."


@runtime_checkable
class Pretrainable(Protocol):
    """A model that wraps a library's network and may start from pretrained weights.

    Attributes:
        weights: the name of published weights or a path, None for random weights.
        published: the published weights that are asked for, None for others.
        normalisation: mean and deviation of each channel that the published weights expect.
    """

    network: nn.Module
    weights: str | None
    published: Published | None
    normalisation: Statistics

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict under the names of this network's layers."""


class _Start(NamedTuple):
    """What a training starts from.

    Attributes:
        shown: what to call it in messages.
        state: the weights by their names in the network.
        statistics: mean and deviation of each channel that they expect; None: the data's own.
        data: what they were trained on, as far as that is known, see DataModule.description.
        other_settings: in which the network differs from the one that was trained, as far as that is known.
    """

    shown: str
    state: dict[str, Tensor]
    statistics: Statistics | None
    data: Mapping[str, Any]
    other_settings: Sequence[str] = ()


def load_pretrained(config: DictConfig, model: nn.Module, datamodule: DataModule) -> None:
    """Load what model.weights names, if it names anything, and normalise the data as these weights expect it.

    Raises:
        UserError: if the weights cannot be had, are damaged, or do not fit the network.
    """
    wanted = config.model.get("weights")
    if wanted is None:
        return
    if isinstance(model, Pretrainable):
        start, network = _of_library(model), model.network
    elif takes_argument(target(config, "model"), "weights"):
        return  # it loads them itself
    else:
        start, network = _of_our_own(config, wanted), model
    try:
        head_is_new = load_fitting(network, start.state)
    except ValueError as error:
        advice = _advice(model, error, start.other_settings)
        raise UserError(f"model.weights: {start.shown} does not fit the network: {error}; {advice}") from error
    _check_origin(start, datamodule, () if head_is_new else ("class_names",))
    head = "; the last layer starts anew, for other classes or sizes" if head_is_new else ""
    log.info(labelled(f"weights  {start.shown}{head}"))
    if start.other_settings:
        settings = ", ".join(start.other_settings)
        log.warning("WARNING: they were trained with %s, without which they may be worth nothing", settings)
    if start.statistics is not None and datamodule.vocabulary is None:  # texts are numbers of words
        _normalise(datamodule, start.statistics)


def _of_library(model: Pretrainable) -> _Start:
    """The weights of a library's network: published ones, or those of a file."""
    path = downloaded(model.published) if model.published else Path(str(model.weights))
    weights = read_weights(path)
    of_run = {name.removeprefix(_NETWORK): value for name, value in weights.state.items() if name.startswith(_NETWORK)}
    state = of_run or model.renamed(weights.state)
    return _Start(short_path(path), state, weights.statistics or model.normalisation, weights.data)


def _of_our_own(config: DictConfig, wanted: str) -> _Start:
    """The weights of one of this project's networks: those that ship with it, or those of a file.

    Raises:
        UserError: if the name is neither, or none ship for this network.
    """
    module = _choice(config.model)
    if f"{wanted}:" == PRETRAINED or wanted.startswith(PRETRAINED):
        name = wanted.removeprefix(PRETRAINED) if wanted.startswith(PRETRAINED) else module
        try:
            record = shipped.read_record(name)
            state = shipped.read_weights(name, record)
        except UserError as error:
            raise UserError(f"model.weights: {error}") from error
        statistics = record["data"]["mean"], record["data"]["std"]
        return _Start(f"{PRETRAINED}{name}", state, statistics, record["data"], _other_settings(config, record))
    if not is_file(wanted):
        raise UserError(
            f"model.weights must be pretrained or the path of a file (.safetensors, .pth, .ckpt), got {wanted!r}"
            f"{did_you_mean(wanted, ['pretrained'])}"
        )
    weights = read_weights(Path(wanted))
    state = weights.state
    if weights.is_run:
        of_run = {name.removeprefix(_MODEL): value for name, value in state.items() if name.startswith(_MODEL)}
        state = of_run or state  # a checkpoint of other code
    return _Start(short_path(Path(wanted)), state, weights.statistics, weights.data)


def _choice(model: Mapping[str, Any] | DictConfig) -> str:
    """The name of a network's file, which is that of its choice in conf/model too."""
    return str(model["_target_"]).split(".")[-2]


def _other_settings(config: DictConfig, record: Mapping[str, Any]) -> list[str]:
    """The settings of a shipped network that the config has otherwise, as one would type them."""
    trained = record["files"][shipped.CONFIG]["model"]
    if _choice(trained) != _choice(config.model):
        return [f"model={_choice(trained)}"]
    return [
        f"{key}={json.dumps(before, separators=(',', ':'))}"
        for key, before, now in differences(trained, as_written(config)["model"], "model.")
        if key != "model.weights" and not (before is None and is_default(config, key, now))
    ]


def _advice(model: nn.Module, error: ValueError, other_settings: Sequence[str]) -> str:
    """What to do about weights that do not fit."""
    stem = getattr(model, "stem", None)
    first = first_convolution(model.network) if isinstance(model, Pretrainable) else None
    if stem is not None and re.match(rf"{first}\.weight is \d", str(error)):
        return f"model.stem={'small' if stem == 'original' else 'original'} builds the other first layers"
    if other_settings:
        return f"they were trained with {', '.join(other_settings)}"
    name = "model.name" if isinstance(model, Pretrainable) else "its settings"
    return f"are model and {name} those that it was trained with?"


def _check_origin(start: _Start, datamodule: DataModule, of_last_layer: Sequence[str]) -> None:
    """Refuse weights for other words, and warn of those that know other samples or some that the run is scored on.

    Args:
        of_last_layer: what the last layer knows of the data, if it keeps its weights.

    Raises:
        UserError: if they were trained on texts whose numbers stand for other words.
    """
    if "dataset" not in start.data:
        return
    ours = datamodule.description()
    if different := agreement.difference(start.data, ours, ("vocabulary",)):
        raise UserError(f"model.weights: {start.shown} knows {agreement.in_words(different, start.data, ours)}")
    if different := agreement.difference(start.data, ours, ("order", "audio", *of_last_layer)):
        log.warning("WARNING: %s knows %s", start.shown, agreement.in_words(different, start.data, ours))
    if seen := agreement.learnt_from_evaluated(start.data, ours):
        log.warning("WARNING: %s has learnt %s; these scores will be too good", start.shown, seen)


def _normalise(datamodule: DataModule, statistics: Statistics) -> None:
    """Set mean and deviation of the data to those of the weights, if the data are on the same scale."""
    channels = len(datamodule.mean)
    mean, std = (_for_channels(values, channels) for values in statistics)
    # Pictures hold values from 0 to 1. Other values, as of a spectrogram, keep their own mean and deviation.
    if not all(0 <= value <= 1 for value in datamodule.mean):
        log.info("         the data are not pictures with values from 0 to 1 and keep their own mean and deviation")
        return
    datamodule.normalise_by(mean, std)
    shown = [" ".join(f"{value:.3g}" for value in values[:4]) for values in (mean, std)]
    log.info("         the data are normalised as these weights expect: mean %s, std %s", *shown)


def _for_channels(values: Sequence[float], channels: int) -> list[float]:
    """One value for each channel: of a single channel the mean of all, of more channels the values in turn."""
    if channels == 1:
        return [sum(values) / len(values)]
    return [values[channel % len(values)] for channel in range(channels)]
