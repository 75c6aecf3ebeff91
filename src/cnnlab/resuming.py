"""What `resume=<run folder>` may be asked and which config it continues with."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cnnlab.arguments import quoted
from cnnlab.errors import UserError

_MAY_CHANGE = "trainer.max_epochs"


def arguments_for_resume(run_dir: Path, arguments: list[str]) -> list[str]:
    """Return the overrides with which Hydra works in the run's own folder and leaves its saved config alone.

    Raises:
        UserError: if the folder is no run that can go on, or anything but trainer.max_epochs is to be changed.
    """
    if not (run_dir / ".hydra" / "config.yaml").is_file():
        raise UserError(f"resume: {run_dir} is not a run folder (it has no .hydra/config.yaml)")
    if not (run_dir / "checkpoints" / "last.ckpt").is_file():
        raise UserError(f"resume: {run_dir} has no checkpoints/last.ckpt: no epoch was finished; start a new run")
    for argument in arguments:
        key = argument.lstrip("+~").partition("=")[0]
        if argument in ("-m", "--multirun"):
            raise UserError("resume continues one run; it cannot be combined with --multirun")
        if "=" in argument and key not in ("resume", _MAY_CHANGE):
            raise UserError(
                f"resume continues a run with its own config, so {argument.lstrip('+')} is refused; "
                f"only {_MAY_CHANGE} may be given"
            )
    return [*arguments, f"hydra.run.dir={quoted(str(run_dir))}", "hydra.output_subdir=.hydra/resumed"]


def saved_config(run_dir: Path, composed: DictConfig, overrides: list[str]) -> DictConfig:
    """Return the config the run was started with, with the new trainer.max_epochs where one is given."""
    path = run_dir / ".hydra" / "config.yaml"
    try:
        config = OmegaConf.load(path)
        assert isinstance(config, DictConfig)
    except (OmegaConfBaseException, AssertionError, ValueError) as error:
        raise UserError(f"resume: {path} cannot be read ({error})") from error
    config.resume = str(run_dir)
    if any(override.lstrip("+").startswith(f"{_MAY_CHANGE}=") for override in overrides):
        config.trainer.max_epochs = composed.trainer.max_epochs
    return config
