"""Samplers and pruners by name: those of the groups, any other class, and what is said of unknown ones."""

import sys
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.pruners import BasePruner, PatientPruner, PercentilePruner
from optuna.samplers import RandomSampler

from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.errors import SearchError
from async_optuna.named_classes import build_pruner, sampler_factory
from async_optuna.space import Parameter, Space
from async_optuna.study import kept_seed
from hydra_plugins.async_optuna_sweeper import config


class Quota(BasePruner):
    """A pruner of an app's own."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return bool(trial.number >= self.settings["quota"])


def group(name: str, cls: str | None, arguments: tuple[str, ...]) -> dict[str, Any]:
    return {"_target_": cls and f"optuna.{name}.{cls}"} | dict.fromkeys(arguments)


@pytest.mark.parametrize("name", [name for name in config._SAMPLERS if name not in ("grid", "cmaes")])
def test_every_sampler_of_the_group_can_be_made_with_each_trials_seed(name: str) -> None:
    cls, arguments = config._SAMPLERS[name]
    make, seed = sampler_factory({**group("samplers", cls, arguments), "seed": 3})
    assert make is not None
    assert seed == 3
    assert type(make(5)).__name__ == cls


def test_arguments_of_the_groups_exist() -> None:
    """Those at null are left out, so that a misspelt one would never be noticed."""
    import inspect

    for cls, arguments in config._SAMPLERS.values():
        signature = inspect.signature(getattr(optuna.samplers, cls)).parameters
        # hydra-optuna-sweeper's names, of which later Optunas know fewer
        assert set(arguments) - set(signature) <= {
            "seed",
            "consider_prior",
            "consider_magic_clip",
            "consider_endpoints",
        }
    for pruner, arguments in config._PRUNERS.values():
        if pruner is not None:
            assert set(arguments) <= set(inspect.signature(getattr(optuna.pruners, pruner)).parameters)


def test_a_grid_needs_no_sampler() -> None:
    assert sampler_factory({"_target_": "GridSampler", "seed": 1}) == (None, 1)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    monkeypatch.setattr("async_optuna.named_classes.find_spec", lambda name: None)
    with pytest.raises(SearchError, match="CmaEsSampler needs another package: pip install cmaes"):
        sampler_factory({"_target_": "optuna.samplers.CmaEsSampler"})


def test_a_quasi_random_sequence_keeps_its_seed() -> None:
    make, seed = sampler_factory({"_target_": "QMCSampler", "seed": 3})
    assert seed == 3
    assert make is not None
    assert make(11)._seed == 3  # type: ignore[attr-defined]


def test_what_a_sequence_does_not_hold_is_chosen_anew_for_each_trial() -> None:
    make, _ = sampler_factory({"_target_": "QMCSampler", "seed": 3})
    assert make is not None
    others = [make(seed)._independent_sampler for seed in (11, 12)]  # type: ignore[attr-defined]
    study = optuna.create_study()
    values = {sampler.sample_independent(study, None, "x", FloatDistribution(0, 1)) for sampler in others}
    assert len(values) == 2


def test_an_unseeded_sequence_goes_on_whoever_asks() -> None:
    """Of the first eight points of a scrambled sequence of Sobol each eighth of the interval holds one."""
    make, seed = sampler_factory({"_target_": "QMCSampler", "scramble": True})
    assert make is not None
    assert seed is None
    study = optuna.create_study()
    space = Space((Parameter("x", FloatDistribution(0, 1)),))
    points = []
    for _ in range(9):  # each in a process of its own, as it were
        kept = kept_seed(study, None)
        study.sampler = DistinctSampler(replace(make, seed=kept), kept, space, lambda point: False)
        trial = study.ask()
        points.append(trial.suggest_float("x", 0, 1))
        study.tell(trial, 0.0)
    assert sorted(int(point * 8) for point in points[1:]) == list(range(8))  # the first is not of the sequence
    assert kept_seed(study, 5) == 5


def test_nested_samplers_and_arguments() -> None:
    make, _ = sampler_factory(
        {"_target_": "QMCSampler", "seed": 0, "independent_sampler": {"_target_": "RandomSampler", "seed": 1}}
    )
    assert make is not None
    assert isinstance(make(0)._independent_sampler, RandomSampler)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in config._PRUNERS if name not in ("none", "threshold")])
def test_every_pruner_of_the_group(name: str) -> None:
    cls, arguments = config._PRUNERS[name]
    given: dict[str, Any] = {"percentile": {"percentile": 25.0}, "patient": {"patience": 2}}.get(name, {})
    assert type(build_pruner({**group("pruners", cls, arguments), **given})).__name__ == cls


def test_a_threshold_must_be_given() -> None:
    with pytest.raises(SearchError, match="hydra.sweeper.pruner: Either lower or upper must be specified."):
        build_pruner({"_target_": "ThresholdPruner", "lower": None})
    assert build_pruner({"_target_": "ThresholdPruner", "upper": 3.0}) is not None


@pytest.mark.parametrize("pruner_config", [None, {}, {"_target_": None}, {"_target_": "optuna.pruners.NopPruner"}])
def test_no_pruner(pruner_config: dict[str, Any] | None) -> None:
    assert build_pruner(pruner_config) is None


def test_pruners_within_pruners() -> None:
    inner = {"_target_": "optuna.pruners.PercentilePruner", "percentile": 40.0}
    pruner = build_pruner({"_target_": "PatientPruner", "patience": 1, "wrapped_pruner": inner})
    assert isinstance(pruner, PatientPruner)
    assert isinstance(pruner._wrapped_pruner, PercentilePruner)
    assert pruner._wrapped_pruner._percentile == 40.0


def test_a_required_argument_may_be_null() -> None:
    pruner = build_pruner({"_target_": "PatientPruner", "patience": 1, "wrapped_pruner": None})
    assert isinstance(pruner, PatientPruner)
    assert pruner._wrapped_pruner is None


def test_classes_of_the_app_itself() -> None:
    pruner = build_pruner({"_target_": f"{__name__}.Quota", "quota": 3})
    assert isinstance(pruner, Quota)
    assert pruner.settings == {"quota": 3}


@pytest.mark.parametrize(
    ("role", "target", "expected"),
    [
        ("sampler", "optuna.samplers.TPESample", "there is no optuna.samplers.TPESample .*; did you mean TPESampler?"),
        ("sampler", "RandmoSampler", ".*did you mean RandomSampler?"),
        ("pruner", "MedianPrune", ".*did you mean MedianPruner?"),
        ("pruner", "no_such_module.Pruner", "there is no no_such_module.Pruner"),
        ("sampler", "os.system", "expected a class derived from optuna's BaseSampler, got os.system"),
        ("sampler", "optuna.pruners.MedianPruner", "expected a class derived from optuna's BaseSampler"),
        ("pruner", "optuna.samplers.TPESampler", "expected a class derived from optuna's BasePruner"),
    ],
)
def test_unknown_classes(role: str, target: str, expected: str) -> None:
    build: Any = {"sampler": sampler_factory, "pruner": build_pruner}[role]
    with pytest.raises(SearchError, match=f"hydra.sweeper.{role}: {expected}"):
        build({"_target_": target})


@pytest.mark.parametrize(
    ("role", "arguments", "expected"),
    [
        (
            "sampler",
            {"_target_": "TPESampler", "n_startup_trial": 3},
            "TPESampler has no .*; did you mean n_startup_tri",
        ),
        ("pruner", {"_target_": "MedianPruner", "n_warm_up": 3}, "MedianPruner has no such argument"),
        ("pruner", {"_target_": "MedianPruner", "n_startup_trials": -3}, "cannot be negative"),
        ("pruner", {"_target_": "PercentilePruner"}, "missing 1 required positional argument: 'percentile'"),
        ("pruner", {"_target_": "PatientPruner", "patience": 1, "wrapped_pruner": {"_target_": "Medium"}}, "no Medium"),
    ],
)
def test_unknown_arguments(role: str, arguments: dict[str, Any], expected: str) -> None:
    build: Any = {"sampler": sampler_factory, "pruner": build_pruner}[role]
    with pytest.raises(SearchError, match=expected) as told:
        build(arguments)
    assert str(told.value).startswith(f"hydra.sweeper.{role}")
