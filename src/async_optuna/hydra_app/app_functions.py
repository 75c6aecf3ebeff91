"""The functions that an app plugs into a search by their dotted paths."""

from collections.abc import Callable
from typing import Any

from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from async_optuna.errors import SearchError, on_one_line
from async_optuna.hydra_app.job import HydraJob


def app_function(role: str, path: str | None) -> Callable[..., Any] | None:
    """The function of this dotted path, None for no path.

    Raises:
        SearchError: if it cannot be imported.
    """
    try:
        return get_method(path) if path else None
    except Exception as error:  # its module may raise anything
        raise SearchError(f"hydra.sweeper.{role}={path}: {on_one_line(error)}") from error


def run_prepare(path: str, job: HydraJob, points: list[tuple[str, list[list[str]]]]) -> Any:
    """Let the app look at the configs of all choices; runs in a process of its own, which may load and use anything."""
    return get_method(path)((label, (_without_hydra(job.compose(one)) for one in several)) for label, several in points)


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
