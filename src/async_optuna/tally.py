"""Keeps count of what has happened in a study; only what is new is read, so that a long study costs no more a trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from async_optuna.optuna_internals import ENQUEUED_PARAMS, trials_since
from async_optuna.space import Point, identity

# The attribute of a trial that was taken along from another search, and says from which.
WARM_START = "warm_start"


@dataclass
class Counts:
    """The number of trials in each state. An interrupted trial has no result, and n_trials does not include it.

    Infeasible ones are complete, but miss a constraint and cannot be the best.
    """

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    interrupted: int = 0
    running: int = 0
    infeasible: int = 0

    @property
    def finished(self) -> int:
        return self.complete + self.pruned + self.failed


class Tally:
    """What one process has read of a study so far.

    Attributes:
        counts: as of the last reading.
        open: the trials that wait or run.
        lost: interrupted trials whose points are to be run again.
        failed: those whose point has not been run again.
        front: the trials with a result that no other beats in every objective; of one objective, the best alone.
        num_since_best: finished trials that were not better.
        trial_seconds: of all trials, interrupted ones too.
        last_result: when a trial last ended complete or pruned.
        num_read: how many trials were there; a trial of this number or above is unknown.
    """

    def __init__(self, study: optuna.Study) -> None:
        self.counts = Counts()
        self.open: dict[int, FrozenTrial] = {}
        self.lost: dict[int, FrozenTrial] = {}
        self.front: list[FrozenTrial] = []
        self.failed: dict[int, FrozenTrial] = {}
        self.num_since_best = 0
        self.trial_seconds = 0.0
        self.last_result: datetime | None = None
        self._study = study
        self._signs = [1 if direction == StudyDirection.MAXIMIZE else -1 for direction in study.directions]
        self.num_read = 0
        self._seen: set[Any] = set()
        self._holders: dict[Any, set[int]] = {}
        self._retries: dict[int, int] = {}
        self._first_queued: dict[Any, int] = {}
        self._queued_again: set[int] = set()

    def read(self) -> None:
        """Read what has happened since the last call, by whomever."""
        for trial in trials_since(self._study, sorted(self.open), self.num_read):
            self.num_read = max(self.num_read, trial.number + 1)
            self._read(trial)
        self.counts.running = sum(trial.state == TrialState.RUNNING for trial in self.open.values())

    @property
    def is_any_waiting(self) -> bool:
        return any(trial.state == TrialState.WAITING for trial in self.open.values())

    @property
    def num_seen(self) -> int:
        return len(self._seen)

    def is_seen(self, point: Point) -> bool:
        """Whether a point was run, is running or waits to be run."""
        return identity(point) in self._seen

    def see(self, point: Point) -> None:
        self._seen.add(identity(point))

    def num_before(self, number: int) -> int:
        """How many finished trials there are, and open ones that come before this one; those that wait will run."""
        return self.counts.finished + sum(other < number for other in self.open)

    def most_before(self, number: int) -> int:
        """How many there are at most, if those that were not read yet run too."""
        return self.num_before(number) + max(0, number - self.num_read)

    def is_queued_twice(self, number: int) -> bool:
        """Whether searches on two machines have put the same point into the queue at once, and this was the second."""
        return number in self._queued_again

    def holders(self, point: Point) -> set[int]:
        """The trials that have run or run this point."""
        key = identity(point)
        running = {number for number, trial in self.open.items() if identity(trial.params) == key}
        return running | self._holders.get(key, set())

    def choosing_before(self, number: int) -> set[int]:
        """The trials with a lower number whose point is not wholly known yet."""
        return {
            other
            for other, trial in self.open.items()
            if other < number and trial.state == TrialState.RUNNING and "owner" not in trial.user_attrs
        }

    def last_retry(self, number: int) -> int:
        """The trial that a point was run in last: the retry of a retry, and so on."""
        while number in self._retries:
            number = self._retries[number]
        return number

    def _read(self, trial: FrozenTrial) -> None:
        if WARM_START in trial.user_attrs:  # another search's: known to the sampler, and to nobody else
            return
        self._note_queued(trial)
        queued = trial.system_attrs.get(ENQUEUED_PARAMS, {})
        is_chosen = trial.state != TrialState.RUNNING or "owner" in trial.user_attrs  # else a part of it may be missing
        point = trial.params if trial.params and is_chosen else queued
        interrupted = bool(trial.user_attrs.get("interrupted"))
        is_whole = bool(point) or "owner" in trial.user_attrs  # of a space without parameters the only point is {}
        if is_whole and not (interrupted and trial.state.is_finished()):
            self.see(point)
            self._holders.setdefault(identity(point), set()).add(trial.number)
        elif point:
            self._holders.get(identity(point), set()).discard(trial.number)
        if "retry_of" in trial.user_attrs:
            self._retries.setdefault(trial.user_attrs["retry_of"], trial.number)
            self.lost.pop(trial.user_attrs["retry_of"], None)
            if self.failed.pop(trial.user_attrs["retry_of"], None) is not None:
                self.counts.failed -= 1
                self.counts.interrupted += 1
        self.open[trial.number] = trial
        if not trial.state.is_finished():
            return
        del self.open[trial.number]
        self.trial_seconds += trial.user_attrs.get("seconds", 0.0)
        has_result = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        self.num_since_best += has_result
        if has_result and trial.datetime_complete is not None:
            self.last_result = max(self.last_result or trial.datetime_complete, trial.datetime_complete)
        if interrupted or (trial.number in self._retries and not has_result):
            self.counts.interrupted += 1
            if trial.number not in self._retries and trial.user_attrs.get("retry", True):
                self.lost[trial.number] = trial
        elif trial.state == TrialState.COMPLETE:
            self.counts.complete += 1
            if "infeasible" in trial.user_attrs:
                self.counts.infeasible += 1
            else:
                self._compare(trial)
        elif trial.state == TrialState.PRUNED:
            self.counts.pruned += 1
        else:
            self.counts.failed += 1
            self.failed[trial.number] = trial

    def _note_queued(self, trial: FrozenTrial) -> None:
        """Note which of several trials came first that one lost trial, or one given point, was queued for."""
        key = trial.user_attrs.get("retry_of", identity(trial.system_attrs.get(ENQUEUED_PARAMS, {})))
        if key == ():
            return
        if trial.user_attrs.get("interrupted") and not trial.user_attrs.get("retry", True):  # it was given back
            if self._first_queued.get(key) == trial.number:
                del self._first_queued[key]
        elif self._first_queued.setdefault(key, trial.number) < trial.number:
            self._queued_again.add(trial.number)

    def _compare(self, trial: FrozenTrial) -> None:
        """Put a trial into the front, unless one in it beats it in every objective."""
        scores = self._scores(trial)
        if len(scores) == 1:
            self._compare_with_best(trial, scores[0])
        elif not any(_is_beaten(scores, self._scores(other)) for other in self.front):
            self.front = [other for other in self.front if not _is_beaten(self._scores(other), scores)] + [trial]

    def _compare_with_best(self, trial: FrozenTrial, score: float) -> None:
        """Of equals the first counts, not the faster."""
        for best in self.front:
            if (score, -trial.number) < (self._scores(best)[0], -best.number):
                return
        self.front = [trial]
        self.num_since_best = 0

    def _scores(self, trial: FrozenTrial) -> list[float]:
        """The values such that more is better."""
        return [sign * value for sign, value in zip(self._signs, trial.values, strict=True)]


def _is_beaten(scores: Sequence[float], others: Sequence[float]) -> bool:
    """Whether the others are nowhere worse and somewhere better."""
    return scores != others and all(other >= score for score, other in zip(scores, others, strict=True))
