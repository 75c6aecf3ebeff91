"""Reads what a search is to minimise or maximise."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from async_optuna.errors import SearchError

_DIRECTIONS = ("minimize", "maximize")


def objectives(config: DictConfig) -> tuple[Any, list[str]]:
    """The names of the objectives, as far as they are known, and the direction of each."""
    settings = config.hydra.sweeper
    if settings.direction is None:
        if not isinstance(config.get("monitor"), str) or "mode" not in config:
            return settings.metric, ["minimize"]
        if config.mode not in ("min", "max"):
            raise SearchError(
                f"mode={config.mode} does not say in which direction {config.monitor} is to go; "
                "give mode=min, mode=max or hydra.sweeper.direction"
            )
        return settings.metric or config.monitor, [f"{config.mode}imize"]
    given = list(settings.direction) if OmegaConf.is_list(settings.direction) else [settings.direction]
    directions = [str(getattr(one, "name", one)).lower() for one in given]
    for one in directions or ["nothing"]:
        if one not in _DIRECTIONS:
            raise SearchError(f"hydra.sweeper.direction must be minimize or maximize, or a list of them, got {one}")
    return settings.metric, directions


def metric_names(metric: Any, directions: Sequence[str]) -> list[str]:
    """One name for each direction: those that are known, else made-up ones."""
    names, count = list(metric) if OmegaConf.is_list(metric) else [metric] if metric else [], len(directions)
    if not names:
        names = ["value"] if count == 1 else [f"value {number}" for number in range(1, count + 1)]
    if len(names) != count:
        raise SearchError(f"hydra.sweeper.metric names {len(names)} objectives, hydra.sweeper.direction {count}")
    texts = [str(name) for name in names]
    for name in texts:
        if texts.count(name) > 1:
            raise SearchError(f"hydra.sweeper.metric names {name} twice; each objective needs a name of its own")
    return texts
