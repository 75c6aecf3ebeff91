"""A finished or stopped run, back in memory."""

from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from torch import nn

from cnnlab import resuming, run_folder
from cnnlab.checkpoint_io import load_checkpoint
from cnnlab.commands import short_path
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError
from cnnlab.instantiation import refuse_untrusted_targets
from cnnlab.quiet import quieten_libraries
from cnnlab.training import build_data, build_model

# The name of the network in a LightningModule, here and in CONTRIBUTING.md.
_PREFIX = "model."


class SavedRun(NamedTuple):
    """What a run was made of.

    Attributes:
        model: the network with the weights of the best epoch, in eval mode, on the CPU.
        datamodule: set up; its loaders give normalised batches.
        config: as composed when the run was started.
    """

    model: nn.Module
    datamodule: DataModule
    config: DictConfig


def load_run(run: str | Path) -> SavedRun:
    """Rebuild a run from its folder alone; "latest" is the one in outputs/runs that was started last.

    Raises:
        UserError: if the folder is no run, has no best.ckpt, asks for foreign code, or its data are not to be found.
    """
    quieten_libraries()
    folder = run_folder.find(run)
    config = run_folder.load_config(folder)
    refuse_untrusted_targets(config, f"the config saved in {short_path(folder)}")
    checkpoint = folder / "checkpoints" / "best.ckpt"
    if not checkpoint.is_file():
        raise UserError(f"{short_path(folder)} has no checkpoints/best.ckpt: no epoch was finished")
    datamodule = build_data(config)
    resuming.check_data(folder, datamodule.dataset, datamodule.checksums)
    model = build_model(config, datamodule.input_shape, datamodule.num_classes)
    state = load_checkpoint(checkpoint)["state_dict"]
    weights = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{checkpoint} does not fit the run's model: {' '.join(str(error).split())}") from error
    return SavedRun(model.eval(), datamodule, config)
