"""Loads the network, the data and the config of a finished or stopped run from its folder."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from torch import nn

from cnnlab.building import build_data, build_model
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError
from cnnlab.runs import resuming, run_folder
from cnnlab.runs.checkpoint_io import load_checkpoint
from cnnlab.runs.commands import short_path
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.runs.trust import trusted

log = logging.getLogger(__name__)

# The weights of the network in a checkpoint begin with this, because Classifier names its network `model`.
_PREFIX = "model."
# What DataModule.description must have stored in a checkpoint to use its network without the data.
_REQUIRED_OF_DATA = ("dataset", "input_shape", "num_classes", "class_names", "mean", "std", "scale", "preprocessing")


class SavedModel(NamedTuple):
    """A trained network and everything needed to use it, without its data.

    Attributes:
        folder: the run folder.
        config: as composed when the run was started, without interpolations.
        model: with the best weights, or the last ones if none were validated; in eval mode, on the CPU.
        data: the description of the data on which the network was trained, see DataModule.description.
    """

    folder: Path
    config: DictConfig
    model: nn.Module
    data: dict[str, Any]

    @property
    def targets(self) -> str:
        """What the network has learnt: classes; multilabel, several labels of a sample at once; or values."""
        return str(self.data["targets"])

    @property
    def targets_in_words(self) -> str:
        """The same for the end of a sentence."""
        return "several labels at once" if self.targets == "multilabel" else self.targets

    @property
    def learns_classes(self) -> bool:
        """Whether each sample has one class."""
        return self.targets == "classes"


class SavedRun(NamedTuple):
    """The parts of a run.

    Attributes:
        model: the network with the best weights, or the last ones if none were validated; in eval mode, on the CPU.
        datamodule: set up; its loaders give normalised batches.
        config: as composed when the run was started, without interpolations.
    """

    model: nn.Module
    datamodule: DataModule
    config: DictConfig


def load_model(run: str | Path) -> SavedModel:
    """Rebuild a run's network from its folder alone; "latest" is the run in outputs/runs that was started last.

    Raises:
        UserError: if the folder is not a run, has no complete checkpoint, or its config names foreign code.
    """
    quieten_libraries()
    folder = run_folder.find(run)
    config = trusted(run_folder.load_config(folder), f"the config saved in {short_path(folder)}")
    path = _checkpoint(folder)
    checkpoint = load_checkpoint(path)
    if "data" not in checkpoint:
        raise UserError(f"{short_path(path)} does not say what data it was trained on; train with cnnlab's DataModule")
    data = checkpoint["data"]
    missing = [f"data.{name}" for name in _REQUIRED_OF_DATA if name not in data]
    missing += [] if "state_dict" in checkpoint else ["state_dict"]
    if missing:
        raise UserError(
            f"{short_path(path)} is not a complete checkpoint, it lacks {', '.join(missing)}; train the run again"
        )
    # Checkpoints of earlier versions do not hold the kind of targets; the config does.
    data = {"targets": config.data.get("targets", "classes"), **data}
    model = build_model(config, tuple(data["input_shape"]), data["num_classes"], data.get("vocabulary"))
    state = checkpoint["state_dict"]
    weights = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{short_path(path)} does not fit the run's model: {' '.join(str(error).split())}") from error
    return SavedModel(folder, config, model.eval(), data)


def _checkpoint(folder: Path) -> Path:
    """Return best.ckpt, or last.ckpt if no validation has chosen the best weights."""
    best, last = (folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    if best.is_file():
        return best
    if not last.is_file():
        raise UserError(f"{short_path(folder)} has no checkpoints/best.ckpt and no last.ckpt: no epoch was finished")
    log.warning("%s has no best.ckpt, for no validation chose one: its last weights are used", short_path(folder))
    return last


def load_data(saved: SavedModel) -> DataModule:
    """Load the data set on which a run was trained, normalised as its network was trained with.

    Raises:
        UserError: if it cannot be found, or another one is found in its place.
    """
    datamodule = build_data(saved.config)
    resuming.check_data(saved.folder, datamodule.dataset, datamodule.checksums)
    datamodule.normalise_by(saved.data["mean"], saved.data["std"])
    return datamodule


def load_run(run: str | Path) -> SavedRun:
    """Rebuild the network and the data of a run from its folder alone; "latest" is the run that was started last.

    Raises:
        UserError: see load_model and load_data.
    """
    saved = load_model(run)
    return SavedRun(saved.model, load_data(saved), saved.config)
