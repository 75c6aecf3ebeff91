"""Finds the points of earlier trials in the space of a new search."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution

from async_optuna.distributions import plain_text
from async_optuna.hydra_app.distribution_of_override import value_of
from async_optuna.hydra_app.first_points import Baseline, ends, matching
from async_optuna.passwords import without_passwords
from async_optuna.space import Parameter, Space
from async_optuna.warm_start import EarlierTrial, KnownPoint, WarmStart, earlier_trials


def warm_start(
    source: Any, space: Space, baseline: Baseline, sweep_dir: Path, directions: Sequence[str], names: Sequence[str]
) -> WarmStart:
    """Read what is to be taken along; those outside the space, which may be wider or narrower, are counted only."""
    trials = earlier_trials(source, sweep_dir, directions, names)
    points = [_known(trial, space, baseline) for trial in trials]
    inside = [point for point in points if point is not None]
    return WarmStart(without_passwords(str(source)), inside, len(points) - len(inside))


def _known(trial: EarlierTrial, space: Space, baseline: Baseline) -> KnownPoint | None:
    outside = False
    distributions: dict[str, BaseDistribution] = {}
    given = {name.lstrip("+"): value for name, value in trial.params.items()}

    def choose(parameter: Parameter) -> Any:
        nonlocal outside
        key = parameter.name.lstrip("+")
        value = given.get(key, value_of(trial.texts[key]) if key in trial.texts else trial.config.get(key))
        found = matching(parameter, value)
        outside |= found is None
        distributions[parameter.name] = parameter.distribution
        return found[0] if found else ends(parameter.distribution)[0]

    point, overrides = space.walk(choose)
    left = {name: value for name, value in trial.params.items() if name not in point}
    if outside or not all(_is_given(name, value, overrides, baseline) for name, value in left.items()):
        return None
    return KnownPoint(point, distributions, trial.values, trial.constraints)


def _is_given(name: str, value: Any, overrides: Sequence[str], baseline: Baseline) -> bool:
    """Whether every new trial has this value of a key that the new search does not go through."""
    key = name.lstrip("+")
    for override in overrides:
        if override.lstrip("+").partition("=")[0] == key:
            text = override.partition("=")[2]
            return plain_text(value) == text or value_of(text) == value
    return baseline.text(key) == plain_text(value)
