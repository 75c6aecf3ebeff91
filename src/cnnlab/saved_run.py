"""A finished or stopped run, back in memory."""

from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from torch import nn

from cnnlab import resuming, run_folder
from cnnlab.checkpoint_io import load_checkpoint
from cnnlab.commands import short_path
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError
from cnnlab.quiet import quieten_libraries
from cnnlab.training import build_data, build_model
from cnnlab.trust import trusted

# The name of the network in a LightningModule, here and in CONTRIBUTING.md.
_PREFIX = "model."


class SavedModel(NamedTuple):
    """A trained network and all that is needed to use it, without its data.

    Attributes:
        folder: the run's.
        config: as composed when the run was started, without interpolations.
        model: with the weights of the best epoch, in eval mode, on the CPU.
        data: what the network was trained on, see DataModule.description.
    """

    folder: Path
    config: DictConfig
    model: nn.Module
    data: dict[str, Any]


class SavedRun(NamedTuple):
    """What a run was made of.

    Attributes:
        model: the network with the weights of the best epoch, in eval mode, on the CPU.
        datamodule: set up; its loaders give normalised batches.
        config: as composed when the run was started, without interpolations.
    """

    model: nn.Module
    datamodule: DataModule
    config: DictConfig


def load_model(run: str | Path) -> SavedModel:
    """Rebuild a run's network from its folder alone; "latest" is the run in outputs/runs that was started last.

    Raises:
        UserError: if the folder is no run, has no best.ckpt, or asks for foreign code.
    """
    quieten_libraries()
    folder = run_folder.find(run)
    config = trusted(run_folder.load_config(folder), f"the config saved in {short_path(folder)}")
    path = folder / "checkpoints" / "best.ckpt"
    if not path.is_file():
        raise UserError(f"{short_path(folder)} has no checkpoints/best.ckpt: no epoch was finished")
    checkpoint = load_checkpoint(path)
    if "data" not in checkpoint:
        raise UserError(f"{short_path(path)} does not say what data it was trained on; train with cnnlab's DataModule")
    data = checkpoint["data"]
    model = build_model(config, tuple(data["input_shape"]), data["num_classes"])
    state = checkpoint["state_dict"]
    weights = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{short_path(path)} does not fit the run's model: {' '.join(str(error).split())}") from error
    return SavedModel(folder, config, model.eval(), data)


def load_data(saved: SavedModel) -> DataModule:
    """The data set a run was trained on.

    Raises:
        UserError: if it is not to be found, or another one is found in its place.
    """
    datamodule = build_data(saved.config)
    resuming.check_data(saved.folder, datamodule.dataset, datamodule.checksums)
    return datamodule


def load_run(run: str | Path) -> SavedRun:
    """Rebuild a run, its network and its data, from its folder alone; "latest" is the one that was started last.

    Raises:
        UserError: see load_model and load_data.
    """
    saved = load_model(run)
    return SavedRun(saved.model, load_data(saved), saved.config)
