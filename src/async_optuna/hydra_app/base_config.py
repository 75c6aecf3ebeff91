"""Reads what all trials of a search have in common: the config less what is searched and what may differ."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from async_optuna.hydra_app.first_points import Baseline, near, with_conditions
from async_optuna.passwords import without_passwords
from async_optuna.space import Space
from async_optuna.study_config import StudyConfig

# What these interpolations give belongs to one call.
_OF_ONE_CALL = ("${now:", "${hydra:")
_RESOLVER = re.compile(r"\$\{\s*[\w.]+:")


def base_config(space: Space, baseline: Baseline, may_differ: Sequence[str]) -> StudyConfig:
    """Every key that means something to the result, and what each choice of a searched config group makes of it.

    Absolute paths are left out, for on another machine they are others.
    """
    branched = [key for branch in space.branches for key in branch.fixed]
    searched = [parameter.name for parameter in space.every_parameter()]
    set_by_trials = [key.lstrip("+~").partition("@")[0] for key in (*space.fixed, *branched, *searched)]
    left_out = [key for key in (*may_differ, *set_by_trials) if key and not baseline.is_group(key)]
    values = _values(baseline.config, left_out)
    of_choices: dict[str, Any] = {}
    varying: set[str] = set()
    for parameter, conditions in with_conditions(space):
        name = parameter.name
        if not baseline.is_group(name):
            continue
        choices = {
            text: _values(baseline.compose(near(space, baseline, {**conditions, name: text})), left_out)
            for text in parameter.texts.values()
        }
        first, *others = choices.values()
        varying |= values.keys() - first.keys()
        for key in {key for choice in choices.values() for key in choice}:
            if all(key in choice and choice[key] == first.get(key) for choice in (first, *others)):
                values[key] = first[key]
            else:
                varying.add(key)
                of_choices |= {
                    f"{key} where {name}={text}": choice[key] for text, choice in choices.items() if key in choice
                }
    common = {key: value for key, value in values.items() if key not in varying}
    free = {key: str(baseline.value(key)) for key in may_differ if baseline.is_group(key)}
    keys = [key for key in may_differ if key and key not in free]
    return StudyConfig({**common, **dict(sorted(of_choices.items()))}, free, keys)


def _values(config: DictConfig, left_out: Sequence[str]) -> dict[str, Any]:
    content = OmegaConf.to_container(config, resolve=False)
    assert isinstance(content, dict)
    content.pop("hydra", None)
    values = {}
    for key, value in _leaves(content):
        if any(key == one or key.startswith(f"{one}.") for one in left_out):
            continue
        value = _resolved(config, key, value)
        if not (
            isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute())
        ):
            values[key] = value
    return values


def _leaves(content: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _resolved(config: DictConfig, key: str, value: Any) -> Any:
    """A value as JSON keeps it. A mere reference to another key stays one, for that key is compared itself."""
    if isinstance(value, str) and _RESOLVER.search(value) and not any(one in value for one in _OF_ONE_CALL):
        with suppress(OmegaConfBaseException):  # some can be resolved inside a trial only
            value = OmegaConf.select(config, key)
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=False)
    if isinstance(value, float) and math.isnan(value):
        return "nan"  # which, unlike NaN, is equal to itself
    is_plain = value is None or isinstance(value, str | bool | int | float | list | dict)
    return without_passwords(value if is_plain else str(value))
