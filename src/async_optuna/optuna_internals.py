"""Every use of private names of Optuna; tests/async_optuna/test_optuna_internals.py says which one is gone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from optuna import Study, Trial
from optuna.distributions import BaseDistribution
from optuna.pruners import WilcoxonPruner
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial

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


def id_of_trial(trial: Trial | FrozenTrial) -> int:
    """The number by which the storage knows a trial, which is not the trial's number in its study."""
    return trial._trial_id


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a distribution can yield a value, given as Optuna stores it."""
    return distribution._contains(value)


def trial_numbered(study: Study, number: int) -> FrozenTrial:
    """A trial as it is stored now; to be looked at only."""
    storage = study._storage
    return storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study._study_id, number))


def trials_since(study: Study, numbers: Sequence[int], first: int) -> Iterator[FrozenTrial]:
    """The trials of these numbers, and all from the first on; to be looked at only.

    A journal and the memory hold trials by number. A database would be asked once for each, and once for all.
    """
    storage = study._storage
    if not isinstance(storage, JournalStorage | InMemoryStorage):
        trials = storage.get_all_trials(study._study_id, deepcopy=False)
        yield from (trials[number] for number in numbers)
        yield from trials[first:]
        return
    for number in numbers:
        yield trial_numbered(study, number)
    for number in count(first):
        try:
            trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
        except KeyError:
            return
        yield storage.get_trial(trial_id)


@contextmanager
def as_read_last(study: Study) -> Iterator[None]:
    """Within it Optuna and its samplers see all trials as they were read last, and those that this process adds.

    A database is otherwise read again for the look for enqueued trials and for the sampler.
    """
    storage = study._storage
    if isinstance(storage, _CachedStorage):
        storage._read_trials_from_remote_storage = lambda study_id: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        if isinstance(storage, _CachedStorage):
            del storage._read_trials_from_remote_storage


def p_threshold_of(pruner: WilcoxonPruner) -> float:
    """The probability below which a pruner takes a trial for worse than the best one."""
    return pruner._p_threshold
