"""Builds the sampler and the pruner that the config names.

A misspelt argument is refused with the nearest name before the first trial. `hydra.utils.instantiate` names neither the
nearest class nor the nearest argument, and it needs Hydra, which only async_optuna.hydra_app may import.
"""

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from optuna import pruners, samplers
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, RandomSampler

from async_optuna.errors import SearchError, did_you_mean, on_one_line

# Packages that a sampler needs and that Optuna does not install.
_PACKAGES = {"CmaEsSampler": "cmaes", "GPSampler": "torch"}


@dataclass(frozen=True)
class SamplerFactory:
    """Makes a sampler for each trial.

    Attributes:
        seed: of the whole search; None: not chosen yet.
    """

    cls: type
    arguments: Mapping[str, Any]
    seed: int | None = None

    def __call__(self, trial_seed: int | None) -> BaseSampler:
        arguments = dict(self.arguments)
        if issubclass(self.cls, QMCSampler):
            # A quasi-random sequence is one sequence: its seed scrambles all of it, and the trials take its points in
            # turn. What it does not hold, such as a key of some trials only, is chosen anew for each trial.
            arguments["seed"] = self.seed
            arguments.setdefault("independent_sampler", RandomSampler(trial_seed))
        elif "seed" in inspect.signature(self.cls).parameters:
            arguments["seed"] = trial_seed
        sampler: BaseSampler = _construct("sampler", self.cls, arguments)
        return sampler


def sampler_factory(config: Mapping[str, Any]) -> tuple[SamplerFactory | None, int | None]:
    """Return what makes the samplers of a search (None: a grid, which needs none) and the search's seed.

    Args:
        config: _target_, the class's name or dotted path, and its arguments; null means Optuna's default.

    Raises:
        SearchError: for an unknown class or argument, with the nearest name.
    """
    cls, arguments = _class_and_arguments("sampler", config, samplers, BaseSampler)
    seed = arguments.pop("seed", None)
    if issubclass(cls, GridSampler):
        return None, seed
    package = _PACKAGES.get(cls.__name__)
    if package and find_spec(package) is None:
        raise SearchError(f"hydra.sweeper.sampler: {cls.__name__} needs another package: pip install {package}")
    factory = SamplerFactory(cls, arguments, seed)
    replace(factory, seed=0)(0)  # finds wrong arguments before the search begins
    return factory, seed


def build_pruner(config: Mapping[str, Any] | None) -> BasePruner | None:
    """Return the pruner, None for no pruning.

    Raises:
        SearchError: for an unknown class or argument, with the nearest name.
    """
    if not config or config.get("_target_") is None:
        return None
    cls, arguments = _class_and_arguments("pruner", config, pruners, BasePruner)
    if issubclass(cls, pruners.NopPruner):
        return None
    pruner: BasePruner = _construct("pruner", cls, arguments)
    return pruner


def _class_and_arguments(role: str, config: Mapping[str, Any], module: Any, base: type) -> tuple[type, dict[str, Any]]:
    path = str(config.get("_target_"))
    cls = _find(role, path, module)
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise SearchError(f"hydra.sweeper.{role}: expected a class derived from optuna's {base.__name__}, got {path}")
    accepted = inspect.signature(cls).parameters
    required = [name for name, parameter in accepted.items() if parameter.default is inspect.Parameter.empty]
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in accepted.values())
    arguments = {
        str(name): value
        for name, value in config.items()
        if name != "_target_" and (value is not None or name in required)
    }
    for name, value in arguments.items():
        if name not in accepted and name != "seed" and not takes_any:
            nearest = did_you_mean(name, accepted)
            raise SearchError(f"hydra.sweeper.{role}.{name}: {cls.__name__} has no such argument{nearest}")
        if isinstance(value, Mapping) and "_target_" in value:
            inner_role = "pruner" if "prun" in name else "sampler"
            inner_module, inner_base = (pruners, BasePruner) if inner_role == "pruner" else (samplers, BaseSampler)
            inner, inner_arguments = _class_and_arguments(f"{role}.{name}", value, inner_module, inner_base)
            arguments[name] = _construct(f"{role}.{name}", inner, inner_arguments)
    return cls, arguments


def _find(role: str, path: str, module: Any) -> Any:
    module_name, _, class_name = path.rpartition(".")
    try:
        found = getattr(import_module(module_name) if module_name else module, class_name)
    except (ImportError, AttributeError) as error:
        names = [name for name in module.__all__ if name[0].isupper()]
        nearest = did_you_mean(class_name, names)
        raise SearchError(f"hydra.sweeper.{role}: there is no {path} ({error}){nearest}") from error
    return found


def _construct(role: str, cls: type, arguments: Mapping[str, Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # whoever names a class has chosen it
            return cls(**arguments)
    except (TypeError, ValueError, ImportError) as error:
        raise SearchError(f"hydra.sweeper.{role}: {on_one_line(error)}") from error
