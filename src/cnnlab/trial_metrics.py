"""Gives the search that a run belongs to further numbers of the run, beside the one that is optimised."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from async_optuna import trial
from cnnlab.errors import Infeasible, UserError, did_you_mean


def set_trial_metrics(config: DictConfig, metrics: Mapping[str, Any], is_all: bool = False) -> None:
    """Set the numbers that `trial_metrics` names and those that `hydra.sweeper.constraints` limits.

    Outside a search nothing happens.

    Args:
        metrics: keys of metrics.json, as far as they are known.
        is_all: whether no others will come.

    Raises:
        Infeasible: the run need not go on, because what is known already breaks a limit.
        UserError: `trial_metrics` names a key that there is not.
    """
    running = trial.current()
    if running is None:
        return
    names = list(config.get("trial_metrics") or ())
    for name in names:
        if is_all and name not in metrics:
            raise UserError(f"trial_metrics: metrics.json has no {name}{did_you_mean(name, metrics)}")
    for name in {*names, *running.limited}:
        if isinstance(metrics.get(name), int | float):
            running.set_metric(name, metrics[name])
    if not is_all and (reason := running.violation()):
        raise Infeasible(reason)
