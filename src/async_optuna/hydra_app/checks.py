"""Checks the settings of a search before anything is done."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from async_optuna.commands import short_path
from async_optuna.errors import SearchError
from async_optuna.limits import STOP_FILE
from async_optuna.output import say
from async_optuna.space import ENUMERABLE, Space

# Hydra's own name for the folder of a job.
_SUBDIR = "${hydra.job.num}"


def check_settings(config: DictConfig, directions: Sequence[str], has_pruner: bool, sweep_dir: Path) -> None:
    """Refuse what cannot be, and note what the user may not have meant.

    Raises:
        SearchError: with the setting.
    """
    settings = config.hydra.sweeper
    if settings.n_trials < 1:
        raise SearchError(f"hydra.sweeper.n_trials must be at least 1, got {settings.n_trials}")
    if not settings.dead_after_seconds > 0:
        raise SearchError(f"hydra.sweeper.dead_after_seconds must be positive, got {settings.dead_after_seconds}")
    for name in ("storage_patience_seconds", "max_retries"):
        if not settings[name] >= 0:
            raise SearchError(f"hydra.sweeper.{name} must not be negative, got {settings[name]}")
    if has_pruner and len(directions) > 1:
        raise SearchError(
            "a pruner compares one number, but there are several objectives; use hydra/sweeper/pruner=none"
        )
    if (sweep_dir / STOP_FILE).exists():
        raise SearchError(f"{short_path(sweep_dir / STOP_FILE)} asks every search here to stop; remove it to go on")
    folder = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(folder, dict)
    if folder["subdir"] != _SUBDIR:
        raise SearchError(
            f"hydra.sweep.subdir={folder['subdir']}: a search names each trial's folder after its number, by which it "
            f"finds it again; leave it at {_SUBDIR}"
        )
    if settings.storage is None and "${now:" in str(folder["dir"]):
        say("note: the sweep folder's name holds the time, so this search cannot be resumed; set hydra.sweep.dir")


def check_space(config: DictConfig, space: Space, is_grid: bool, is_extended: bool) -> None:
    """Refuse a space that was forgotten, and one that has no end under a grid.

    Raises:
        SearchError: saying what is missing.
    """
    if not space.every_parameter() and not is_extended and not _has_its_own_n_trials(config):
        raise SearchError(
            "there is nothing to search: neither hydra.sweeper.params nor the command line gives any key several "
            "values, such as key=1,2,3 or key=interval(0,1); hydra.sweeper.n_trials=3 runs the same config 3 times"
        )
    if is_grid and space.every_parameter() and space.size() is None:
        raise SearchError(
            "hydra/sweeper/sampler=grid needs a finite space: give choices or ranges instead of intervals, "
            f"{ENUMERABLE} points at most"
        )


def study_name(settings: DictConfig, sweep_dir: Path) -> str:
    """The study's, or its folder's; where the folder is named after the study, a missing name is no name."""
    name = str(settings.study_name or sweep_dir.name)
    if name.lower() in ("none", "null"):
        raise SearchError("the study has no name: give hydra.sweeper.study_name=…, which also names its folder")
    return name


def _has_its_own_n_trials(config: DictConfig) -> bool:
    """Whether anybody has set the number of trials: without a space it tells repetitions from a forgotten space."""
    given = [str(line).partition("=")[0].lstrip("+") for line in config.hydra.overrides.hydra]
    default = ConfigStore.instance().load("hydra/sweeper/async_optuna.yaml").node.n_trials
    return "hydra.sweeper.n_trials" in given or bool(config.hydra.sweeper.n_trials != default)
