"""Files of weights: safetensors, state dicts of torch and checkpoints of runs, read without running code of them.

Those that a library publishes are downloaded first.
"""

import hashlib
import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cnnlab.blocks.library_network import Published
from cnnlab.colours import labelled
from cnnlab.data.files.download import DownloadFailed, fetch
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.errors import UserError
from cnnlab.runs.checkpoint_io import load_checkpoint

log = logging.getLogger(__name__)

# The names of published files end in the first digits of their SHA-256.
_HASH = re.compile(r"-([0-9a-f]{8,})\.")

# What torch.nn.parallel.DistributedDataParallel and torch.compile put before the names of weights.
_WRAPPERS = ("module.", "_orig_mod.", "module.")

# In a run folder.
_OF_RUN = ("checkpoints/best.ckpt", "checkpoints/last.ckpt")

Statistics = tuple[Sequence[float], Sequence[float]]


class Weights(NamedTuple):
    """The weights in a file.

    Attributes:
        state: by their names, without those of wrappers.
        is_run: whether they are a run's checkpoint, where the LightningModule's names stand before the network's.
        data: what the file says of the data that they were trained on, see DataModule.description; {} for nothing.
    """

    state: dict[str, Tensor]
    is_run: bool = False
    data: Mapping[str, Any] = MappingProxyType({})

    @property
    def statistics(self) -> Statistics | None:
        """Mean and deviation of each channel by which the data were normalised; None if the file does not say."""
        mean, std = self.data.get("mean"), self.data.get("std")
        if not (isinstance(mean, list | tuple) and isinstance(std, list | tuple) and len(mean) == len(std) > 0):
            return None
        numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in (*mean, *std))
        return (mean, std) if numbers and min(std) > 0 else None


def read_weights(path: Path) -> Weights:
    """Read a file's weights.

    Raises:
        UserError: if there is no such file, it is damaged or holds anything else, or weights that are not finite.
    """
    if not path.is_file():
        weights = next((path / file for file in _OF_RUN if (path / file).is_file()), None)
        hint = f"; {path} is a run, whose weights are {weights}" if weights else ""
        raise UserError(f"model.weights: there is no file {path}{hint}")
    if path.suffix == ".safetensors":
        state, about = _of_safetensors(path)
        is_run = False
    else:
        try:
            content = load_checkpoint(path)
        except UserError as error:
            raise UserError(f"model.weights: {error}") from error
        is_run = isinstance(content, dict) and "state_dict" in content
        state, about = (content["state_dict"], content.get("data", {})) if is_run else (content, {})
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"model.weights: {path} does not hold the weights of a network by their names (a state dict)")
    state = _unwrapped(state)
    _check_finite(state, path)
    return Weights(state, is_run, about if isinstance(about, dict) else {})


def _of_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Sequence[float]]]:
    """The weights, and what an export of a run says of the data they were trained on."""
    try:
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise UserError(f"model.weights: {path} needs the package safetensors: pip install safetensors") from error
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return load_file(path), {name: json.loads(metadata[name]) for name in ("mean", "std") if name in metadata}
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"model.weights: {path} is damaged and cannot be loaded ({error})") from error


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


def downloaded(published: Published) -> Path:
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
