"""Every use of private names of Optuna; tests/async_optuna/test_optuna_internals.py says which one is gone."""

from typing import Any

from optuna import Study, Trial
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage

# The system attribute in which Optuna keeps the parameters of an enqueued trial until it runs.
ENQUEUED_PARAMS = "fixed_params"

# Before the name of each system attribute that holds a constraint; samplers read those from Optuna 5 on.
CONSTRAINT = "constraints:"


def storage_of(study: Study) -> BaseStorage:
    """The storage of a study, with the cache that the study itself reads through."""
    return study._storage


def id_of_study(study: Study) -> int:
    """The number by which the storage knows a study."""
    return study._study_id


def id_of_trial(trial: Trial) -> int:
    """The number by which the storage knows a trial, which is not the trial's number in its study."""
    return trial._trial_id


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a distribution can yield a value, given as Optuna stores it."""
    return distribution._contains(value)
