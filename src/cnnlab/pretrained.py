"""Starts a training from pretrained weights: finds or downloads them, fits them in, and normalises as they expect.

Only a new training reads the file. What continues or uses a run finds weights, mean and deviation in its checkpoint.
"""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from cnnlab.blocks.library_network import Published
from cnnlab.blocks.weights import first_convolution, load_fitting
from cnnlab.colours import labelled
from cnnlab.data.datamodule import DataModule
from cnnlab.data.files.download import DownloadFailed, fetch
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.errors import UserError
from cnnlab.runs.checkpoint_io import load_checkpoint
from cnnlab.runs.commands import short_path

log = logging.getLogger(__name__)

# The names of published files end in the first digits of their SHA-256.
_HASH = re.compile(r"-([0-9a-f]{8,})\.")

# How the names of the weights begin in a run's checkpoint: Classifier has a `model`, which has the library's `network`.
_PREFIX = "model.network."

# What torch.nn.parallel.DistributedDataParallel and torch.compile put before these names.
_WRAPPERS = ("module.", "_orig_mod.", "module.")

Statistics = tuple[Sequence[float], Sequence[float]]


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


def load_pretrained(model: nn.Module, datamodule: DataModule) -> None:
    """Load what model.weights names, if it names anything, and normalise the data as these weights expect it.

    Raises:
        UserError: if the file cannot be had, is damaged, or does not fit the network.
    """
    if not isinstance(model, Pretrainable) or model.weights is None:
        return
    path = _downloaded(model.published) if model.published else Path(model.weights)
    if not path.is_file():
        raise UserError(f"model.weights: there is no file {path}")
    content = _content(path)
    is_run = isinstance(content, dict) and "state_dict" in content
    state = content["state_dict"] if is_run else content
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"model.weights: {path} does not hold the weights of a network by their names (a state dict)")
    state = _unwrapped(state)
    _check_finite(state, path)
    own = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
    try:
        head_is_new = load_fitting(model.network, own or model.renamed(state))
    except ValueError as error:
        raise UserError(f"model.weights: {path} does not fit the network: {error}; {_advice(model, error)}") from error
    known = content.get("data", {}) if is_run else {}
    statistics = (known["mean"], known["std"]) if {"mean", "std"} <= known.keys() else model.normalisation
    classes = "; the last layer starts anew, for other classes" if head_is_new else ""
    log.info(labelled(f"weights  {short_path(path)}{classes}"))
    _normalise(datamodule, statistics)


def _unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names of the network itself, if it was saved inside of what trains it."""
    names = list(state)
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    return dict(zip(names, state.values(), strict=True))


def _check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    bad = [name for name, value in state.items() if not value.isfinite().all()]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise UserError(
            f"model.weights: {path} holds NaN or infinity, in {bad[0]}{more}; its training went wrong, so take another "
            "file, for example of an earlier epoch"
        )


def _content(path: Path) -> Any:
    """Load a file without running code of it."""
    if path.suffix != ".safetensors":
        return load_checkpoint(path)
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise UserError(f"model.weights: {path} needs the package safetensors: pip install safetensors") from error
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"model.weights: {path} is damaged and cannot be loaded ({error})") from error


def _downloaded(published: Published) -> Path:
    """Return the file of published weights: from a data folder or torch's own cache if it is there, else downloaded.

    Raises:
        UserError: if it cannot be downloaded, or is not what it should be.
    """
    url, name = published
    folders = [folder / "weights" for folder in data_dirs(None)]
    of_torch = Path(torch.hub.get_dir()) / "checkpoints"
    found = next((folder / name for folder in [*folders, of_torch] if (folder / name).is_file()), None)
    if found is None:
        log.info(labelled(f"weights  downloading {url} to {folders[-1]}"))
        try:
            fetch([url], lambda folder: _download(url, folder / name), folders[-1])
        except DownloadFailed as error:
            raise UserError(
                f"model.weights: {name} is neither in {folders[0]} nor can it be downloaded ({error}); put the file "
                f"there, name another folder with {ENVIRONMENT_VARIABLE}, or give model.weights=<file>"
            ) from error
        found = folders[-1] / name
    expected = _HASH.search(name)
    with found.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if expected and not digest.startswith(expected[1]):
        raise UserError(
            f"model.weights: {found} is damaged: expected a SHA-256 that begins with {expected[1]}, got "
            f"{digest[: len(expected[1])]}; delete the file to download it again"
        )
    return found


def _download(url: str, path: Path) -> Path:
    """Download with a progress bar and check the digits in the file's name; return the folder that holds the file."""
    digits = _HASH.search(path.name)
    torch.hub.download_url_to_file(url, str(path), hash_prefix=digits[1] if digits else None)
    return path.parent


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


def _advice(model: Pretrainable, error: ValueError) -> str:
    """What to do about weights that do not fit."""
    stem, first = getattr(model, "stem", None), first_convolution(model.network)
    if stem is not None and re.match(rf"{first}\.weight is \d", str(error)):
        return f"model.stem={'small' if stem == 'original' else 'original'} builds the other first layers"
    return "are model and model.name those that it was trained with?"
