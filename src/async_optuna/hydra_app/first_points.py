"""Points that are tried before Optuna proposes any: the config's own values, enqueued points, one for every choice."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from async_optuna.distributions import plain_text
from async_optuna.errors import SearchError, did_you_mean
from async_optuna.hydra_app.distribution_of_override import value_of
from async_optuna.hydra_app.job import HydraJob
from async_optuna.optuna_internals import contains
from async_optuna.output import say
from async_optuna.space import Parameter, Point, Space

_RANDOM_TRIES = 8


class Baseline:
    """The config that all trials start from: the fixed overrides, and nothing searched yet."""

    def __init__(self, job: HydraJob, fixed: list[str]) -> None:
        self._job = job
        self._fixed = fixed
        self.config = job.compose(fixed)

    def is_group(self, key: str) -> bool:
        return key in self.config.hydra.runtime.choices

    def value(self, key: str) -> Any:
        """The value of a key, or the choice of a config group; None if there is neither."""
        if self.is_group(key):
            return self.config.hydra.runtime.choices[key]
        return OmegaConf.select(self.config, key, throw_on_resolution_failure=False)

    def text(self, key: str) -> str | None:
        value = self.value(key)
        if isinstance(value, bool):
            return str(value).lower()
        return None if value is None else str(value)

    def compose(self, overrides: list[str]) -> DictConfig:
        return self._job.compose(overrides)

    def with_groups(self, given: Mapping[str, Any]) -> "Baseline":
        groups = [f"{key}={value}" for key, value in given.items() if self.is_group(key)]
        return Baseline(self._job, [*self._fixed, *groups]) if groups else self


def first_points(space: Space, baseline: Baseline, enqueue: list[Any], with_defaults: bool) -> list[tuple[Point, str]]:
    """The points to be run before any other: the config's own values if asked for, then the enqueued ones.

    Raises:
        SearchError: for an enqueued key or value that the space does not hold.
    """
    points = []
    if with_defaults:
        point, outside = _complete(space, baseline, {})
        if outside:
            say(f"the config's own values are not trial 0, for the space does not hold {', '.join(outside)}")
        else:
            points.append((point, "defaults"))
    names = [parameter.name for parameter in space.every_parameter()]
    for entry in enqueue:
        given = dict(entry.items()) if isinstance(entry, Mapping | DictConfig) else {}
        if not given:
            raise SearchError(f"hydra.sweeper.enqueue: expected a mapping of keys to values, got {entry!r}")
        for key in given:
            if key not in names:
                raise SearchError(f"hydra.sweeper.enqueue: {key} is not in the space{did_you_mean(key, names)}")
        point, outside = _complete(space, baseline.with_groups(given), given)
        if outside:
            raise SearchError(f"hydra.sweeper.enqueue: the space does not hold {', '.join(outside)}")
        points.append((point, "enqueued"))
    return points


def to_compose(space: Space, baseline: Baseline) -> Iterator[list[str]]:
    """Overrides that together show every key of the space, every branch and every choice of a config group."""
    yield near(space, baseline, {})
    for branch in space.branches:
        yield near(space, baseline, dict(branch.conditions))
    for parameter, conditions in with_conditions(space):
        if baseline.is_group(parameter.name):
            for text in parameter.texts.values():
                yield near(space, baseline, {**conditions, parameter.name: text})


def to_prepare(space: Space, baseline: Baseline) -> Iterator[tuple[str, list[list[str]]]]:
    """Every choice and every end of an interval, each as a label and several points that hold it, likely ones first."""
    yield "defaults", [near(space, baseline, {})]
    for parameter, conditions in with_conditions(space):
        for value in ends(parameter.distribution):
            text = parameter.text(value)
            forced = {**conditions, parameter.name: text}
            shuffle = random.Random(f"{parameter.name}={text}")
            tries = [
                _overrides(space, forced, lambda p, s=shuffle: _random(p.distribution, s)) for _ in range(_RANDOM_TRIES)
            ]
            yield f"{parameter.name}={text}", [near(space, baseline, forced), *tries]


def with_conditions(space: Space) -> Iterator[tuple[Parameter, dict[str, str]]]:
    """Every parameter, and what must be chosen for it to exist."""
    for parameter in space.parameters:
        yield parameter, {}
    for branch in space.branches:
        for parameter in branch.parameters:
            yield parameter, _implied(space, dict(branch.conditions))


def _implied(space: Space, conditions: dict[str, str]) -> dict[str, str]:
    """Conditions, and those of the branches that their own keys come from."""
    for branch in space.branches:
        offered = {parameter.name for parameter in branch.parameters} | set(branch.fixed)
        if offered & set(conditions) and not set(dict(branch.conditions)) <= set(conditions):
            return _implied(space, {**dict(branch.conditions), **conditions})
    return conditions


def _complete(space: Space, baseline: Baseline, given: Mapping[str, Any]) -> tuple[Point, list[str]]:
    """The point with the given values, all others as in the config; and what of it the space does not hold."""
    outside = []

    def choose(parameter: Parameter) -> Any:
        value = given.get(parameter.name, baseline.value(parameter.name))
        found = matching(parameter, value)
        if found is None:
            outside.append(f"{parameter.name}={value}")
            return ends(parameter.distribution)[0]
        return found[0]

    return space.walk(choose)[0], outside


def near(space: Space, baseline: Baseline, forced: Mapping[str, str]) -> list[str]:
    """The overrides of the point that is nearest to the config's own values and has the forced ones."""

    def choose(parameter: Parameter) -> Any:
        found = matching(parameter, baseline.value(parameter.name))
        return found[0] if found else ends(parameter.distribution)[0]

    return _overrides(space, forced, choose)


def _overrides(space: Space, forced: Mapping[str, str], choose: Any) -> list[str]:
    def choose_or_force(parameter: Parameter) -> Any:
        if parameter.name in forced:
            for value in ends(parameter.distribution):
                if parameter.text(value) == forced[parameter.name]:
                    return value
        return choose(parameter)

    return space.walk(choose_or_force)[1]


def matching(parameter: Parameter, value: Any) -> tuple[Any] | None:
    """The distribution's own form of a config value, None if it holds no such value."""
    distribution = parameter.distribution
    if isinstance(distribution, CategoricalDistribution):
        if OmegaConf.is_config(value):  # a list or a mapping is a choice by its text
            value = OmegaConf.to_container(value, resolve=True)
        text = plain_text(value)
        for choice in distribution.choices:
            texts_value = value_of(parameter.text(choice)) if isinstance(value, list | dict) else choice
            if texts_value == value or parameter.text(choice) == text:
                return (choice,)
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not contains(distribution, value):
        return None
    return (float(value) if isinstance(distribution, FloatDistribution) else int(value),)


def ends(distribution: BaseDistribution) -> list[Any]:
    """Every choice, or both ends of an interval."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    return [distribution.low, distribution.high]  # type: ignore[attr-defined]


def _random(distribution: BaseDistribution, shuffle: random.Random) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return shuffle.choice(distribution.choices)
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    if isinstance(distribution, FloatDistribution):
        return low * (high / low) ** shuffle.random() if distribution.log else shuffle.uniform(low, high)
    return shuffle.randrange(low, high + 1, distribution.step)  # type: ignore[attr-defined]
