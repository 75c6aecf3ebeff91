"""The numbers that a run hands to its search."""

from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf

from async_optuna import trial
from async_optuna.constraints import Constraints
from cnnlab.errors import Infeasible, UserError
from cnnlab.trial_metrics import set_trial_metrics

CONFIG = OmegaConf.create({"trial_metrics": ["train_seconds"]})
METRICS = {"num_parameters": 300, "train_seconds": 1.5, "val/accuracy": 0.9, "val/loss": None, "device": "cpu"}


@pytest.fixture
def running() -> Iterator[trial.RunningTrial]:
    limits = Constraints.of({"num_parameters": 200, "val/loss": 1})
    trial.enter(trial.RunningTrial(0, lambda value, step: None, limits))
    current = trial.current()
    assert current is not None
    yield current
    trial.enter(None)


def test_those_that_are_named_or_limited_are_set(running: trial.RunningTrial) -> None:
    set_trial_metrics(CONFIG, METRICS, is_all=True)
    assert running.metrics == {"num_parameters": 300, "train_seconds": 1.5}


def test_a_network_that_is_too_large_is_not_trained(running: trial.RunningTrial) -> None:
    with pytest.raises(Infeasible, match="num_parameters is 300, at most 200 is allowed"):
        set_trial_metrics(CONFIG, {"num_parameters": 300})
    set_trial_metrics(CONFIG, {"num_parameters": 200})


def test_a_number_that_no_run_has_is_named_with_the_nearest(running: trial.RunningTrial) -> None:
    config = OmegaConf.create({"trial_metrics": ["train_second"]})
    set_trial_metrics(config, {"num_parameters": 200})
    with pytest.raises(UserError, match="metrics.json has no train_second; did you mean train_seconds"):
        set_trial_metrics(config, METRICS, is_all=True)


@pytest.mark.parametrize("config", [CONFIG, OmegaConf.create({})])
def test_outside_a_search_nothing_happens(config: DictConfig) -> None:
    set_trial_metrics(config, METRICS, is_all=True)
