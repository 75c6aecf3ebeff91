"""Keeps account of the trials of a study: which ones count, which ones are lost, and which one runs next."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from async_optuna.errors import SearchError
from async_optuna.files import FileLock, is_held
from async_optuna.optuna_internals import ENQUEUED_PARAMS, id_of_study, id_of_trial, storage_of
from async_optuna.outcome import Outcome
from async_optuna.ownership import Owner
from async_optuna.space import Parameter, Point, Space, identity


@dataclass
class Claim:
    """A trial that this process is to run."""

    trial: Trial
    point: Point
    overrides: list[str]
    folder: Path
    restart_from: Path | None = None
    earlier_reports: Mapping[int, float] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)

    @property
    def number(self) -> int:
        return self.trial.number


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


class Ledger:
    """One process's view of a study that others may be working on at the same time.

    All that decides, from counting to writing down who runs the trial, happens under one lock of the sweep folder.

    Args:
        study: opened by this process, with its sampler and pruner.
        space: what the trials choose from.
        sweep_dir: the folder of all trials, shared with the controllers on this machine.
        n_trials: finished trials to reach, all controllers and all calls together.
        max_retries: how often a trial whose process died is run again.
        is_shared: whether controllers on other machines may join (they do not see this folder's lock).
        extend: an app's own addition to a trial's point, called with the Optuna trial.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        sweep_dir: Path,
        n_trials: int,
        max_retries: int = 2,
        is_shared: bool = False,
        extend: Callable[[Trial], None] | None = None,
    ) -> None:
        self.study = study
        self.space = space
        self.sweep_dir = sweep_dir
        self.n_trials = n_trials
        self.counts = Counts()
        self._max_retries = max_retries
        self._is_shared = is_shared
        self._extend = extend
        self.size = None if extend else space.size()
        self._storage: BaseStorage = storage_of(study)
        self._study_id = id_of_study(study)
        self._lock = FileLock(sweep_dir / ".lock")
        self._open: set[int] = set()
        self._num_read = 0
        self._seen: set[Any] = set()
        self._lost: dict[int, FrozenTrial] = {}
        self._retried: set[int] = set()
        self.best: FrozenTrial | None = None
        self.first_failure: FrozenTrial | None = None
        self.num_since_best = 0  # finished trials that were not better
        self.trial_seconds = 0.0  # of all trials, interrupted ones too
        # Trials whose controller is gone and whose process still lives, and since when that is seen.
        self.orphans: dict[int, float] = {}
        with self._lock:
            self._owner = Owner(sweep_dir, study, is_shared)

    # --- Claiming ---------------------------------------------------------------------------------------------------

    def claim(self) -> Claim | None:
        """Take the next trial; None if enough have finished or are running, or no unseen point is left.

        Raises:
            SearchError: if the trial's folder exists.
        """
        with self._lock:
            self._owner.beat()
            self._bury_the_dead()
            if self.counts.finished + self.counts.running >= self.n_trials or self.is_exhausted():
                return None
            trial = self.study.ask()
            if self._is_shared and not self._is_within_budget(trial):
                trial.set_user_attr("retry", False)
                self._interrupt(trial.number, "not needed: others had taken the last trials")
                return None
            try:
                claim = self._describe(trial)
            except BaseException:
                trial.set_user_attr("retry", False)
                self._interrupt(trial.number, "its point could not be chosen")
                raise
            trial.set_user_attr("overrides", claim.overrides)
            trial.set_user_attr("folder", str(claim.number))
            trial.set_user_attr("owner", self._owner.name)
            try:
                claim.folder.mkdir(parents=True)
            except FileExistsError as error:
                trial.set_user_attr("retry", False)
                self._interrupt(trial.number, f"{claim.folder} existed already")
                raise SearchError(
                    f"{claim.folder} already exists, but trial {claim.number} is new: the folder belongs to another "
                    "study; name another hydra.sweeper.study_name or hydra.sweep.dir"
                ) from error
            self.counts.running += 1
            self._open.add(trial.number)
            return claim

    def is_exhausted(self) -> bool:
        """Whether every point of a finite space was run, is running or waits to be run."""
        if self.size is None:
            return False
        return len(self._seen) >= self.size and not self._waiting()

    def is_seen(self, point: Point) -> bool:
        return identity(point) in self._seen

    def enqueue(self, points: Sequence[tuple[Point, str]]) -> None:
        """Have points run before any others, each with the name of where it comes from; known ones are left out."""
        with self._lock:
            self.refresh()
            for point, source in points:
                if not self.is_seen(point):
                    self.study.enqueue_trial(point, user_attrs={"source": source})
                    self._seen.add(identity(point))

    # --- While it runs, and after -----------------------------------------------------------------------------------

    def report(self, claim: Claim, value: float, step: int) -> str | None:
        """Write down an intermediate value; return the reason if the pruner wants the trial to end.

        The defaults' trial is what there is to beat, so it may always run to its end.
        """
        if len(self.study.directions) > 1 or step in claim.reported:
            return None
        if self._storage.get_trial(id_of_trial(claim.trial)).state.is_finished():
            return "another controller took this one for dead and settled its trials"
        claim.reported.add(step)
        for earlier, old in claim.earlier_reports.items():
            if earlier < step:
                claim.trial.report(old, earlier)
        claim.earlier_reports = {}
        claim.trial.report(value, step)
        if claim.trial.user_attrs.get("source") == "defaults" or not claim.trial.should_prune():
            return None
        name = (self.study.metric_names or ["value"])[0]
        return f"{type(self.study.pruner).__name__} after step {step}: {name} {value:.6g}"

    def finish(self, number: int, outcome: Outcome) -> None:
        """Tell the study how a trial ended, unless somebody did."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        if self._storage.get_trial(trial_id).state.is_finished():
            return
        outcome.record(self._storage, trial_id)
        state = TrialState[outcome.state]
        self.study.tell(number, outcome.values if state == TrialState.COMPLETE else None, state, skip_if_finished=True)

    def lose(self, number: int, reason: str, uses_a_retry: bool, seconds: float = 0.0) -> bool:
        """Note that a trial's process died without a result; return whether the point will be run again.

        Args:
            uses_a_retry: whether it died by itself; then after max_retries it is a failure like any other.
            seconds: how long it ran.
        """
        with self._lock:
            return self._bury(number, reason, uses_a_retry, seconds)

    def leave(self) -> None:
        with self._lock:
            self._owner.leave()

    def refresh(self) -> list[FrozenTrial]:
        """Read what has happened since the last call, by whomever; return all trials, to be looked at only."""
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        new = range(self._num_read, len(trials))
        self._num_read = len(trials)
        self.counts.running = 0
        for number in sorted(self._open | set(new)):
            self._open.add(number)
            self._read(trials[number])
        return trials

    # --- Inside ------------------------------------------------------------------------------------------------------

    def _read(self, trial: FrozenTrial) -> None:
        point = trial.params or trial.system_attrs.get(ENQUEUED_PARAMS, {})
        interrupted = bool(trial.user_attrs.get("interrupted"))
        is_whole = bool(point) or "owner" in trial.user_attrs  # of a space without parameters the only point is {}
        if is_whole and not (interrupted and trial.state.is_finished()):
            self._seen.add(identity(point))
        if "retry_of" in trial.user_attrs:
            self._retried.add(trial.user_attrs["retry_of"])
            self._lost.pop(trial.user_attrs["retry_of"], None)
        if trial.state == TrialState.RUNNING:
            self.counts.running += 1
        if not trial.state.is_finished():
            return
        self._open.discard(trial.number)
        self.trial_seconds += trial.user_attrs.get("seconds", 0.0)
        self.num_since_best += trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        if interrupted:
            self.counts.interrupted += 1
            if trial.number not in self._retried and trial.user_attrs.get("retry", True):
                self._lost[trial.number] = trial
        elif trial.state == TrialState.COMPLETE:
            self.counts.complete += 1
            if "infeasible" in trial.user_attrs:
                self.counts.infeasible += 1
            elif len(self.study.directions) == 1 and self._is_better(trial):
                self.best = trial
                self.num_since_best = 0
        elif trial.state == TrialState.PRUNED:
            self.counts.pruned += 1
        else:
            self.counts.failed += 1
            self.first_failure = self.first_failure or trial

    def _is_better(self, trial: FrozenTrial) -> bool:
        if self.best is None:
            return True
        sign = 1 if self.study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
        assert trial.value is not None
        assert self.best.value is not None
        value, best = sign * trial.value, sign * self.best.value
        return value > best or (value == best and trial.number < self.best.number)  # not whichever ended first

    def _waiting(self) -> bool:
        waiting = (TrialState.WAITING,)
        return bool(self._storage.get_all_trials(self._study_id, deepcopy=False, states=waiting))

    def _bury_the_dead(self) -> None:
        """Settle the trials of controllers that are gone, then put every lost point back into the queue."""
        trials = self.refresh()
        buried = False
        for number in sorted(self._open):
            trial = trials[number]
            if trial.state != TrialState.RUNNING or self._owner.lives(trial.user_attrs.get("owner")):
                continue
            folder = self.sweep_dir / str(number)
            if is_held(folder):
                self.orphans.setdefault(number, time.monotonic())  # its process is still on the way out
                continue
            self.orphans.pop(number, None)
            outcome = Outcome.read(folder)
            if outcome is not None:
                self.finish(number, outcome)
            else:
                self._interrupt(number, "its controller was gone")
            buried = True
        if buried:
            self.refresh()
        for lost in list(self._lost.values()):
            self._run_again(lost)

    def _bury(self, number: int, reason: str, uses_a_retry: bool, seconds: float) -> bool:
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        trial = self._storage.get_trial(trial_id)
        if trial.state.is_finished():  # somebody took this controller for dead
            return False
        retries = trial.user_attrs.get("retries", 0)
        if uses_a_retry and retries >= self._max_retries:
            times = f"{retries + 1} times" if retries else "once"
            self.finish(number, Outcome("FAIL", reason=f"{reason} ({times}; no retry left)", seconds=seconds))
            return False
        self._storage.set_trial_user_attr(trial_id, "retries", retries + uses_a_retry)
        self._storage.set_trial_user_attr(trial_id, "seconds", round(seconds, 3))
        self._interrupt(number, reason)
        self.refresh()
        for lost in list(self._lost.values()):
            self._run_again(lost)
        return True

    def _interrupt(self, number: int, reason: str) -> None:
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        if self._storage.get_trial(trial_id).state.is_finished():
            return
        self._storage.set_trial_user_attr(trial_id, "interrupted", True)
        self._storage.set_trial_user_attr(trial_id, "reason", reason)
        self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def _run_again(self, lost: FrozenTrial) -> None:
        """Put a lost trial's point back into the queue; without its whole point there is nothing to repeat."""
        self._lost.pop(lost.number, None)
        self._retried.add(lost.number)
        queued = lost.system_attrs.get(ENQUEUED_PARAMS)
        point = queued or (lost.params if "owner" in lost.user_attrs else None)
        if point is not None:
            attributes = {"source": lost.user_attrs.get("source", "retry"), "retry_of": lost.number}
            attributes["retries"] = lost.user_attrs.get("retries", 0)
            self.study.enqueue_trial(point, user_attrs=attributes)

    def _is_within_budget(self, trial: Trial) -> bool:
        """Count once more: on another machine somebody may have taken the last trial at the same moment."""
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        before = 0
        for other in trials:
            counts = other.state.is_finished() and not other.user_attrs.get("interrupted")
            if counts or (other.state == TrialState.RUNNING and other.number < trial.number):
                before += 1
        return before < self.n_trials

    def _describe(self, trial: Trial) -> Claim:
        point, overrides = self.space.walk(lambda parameter: _suggest(trial, parameter))
        if self._extend is not None:
            self._extend(trial)
            added = {name: value for name, value in trial.params.items() if name not in point}
            overrides += [f"{name}={_text(value)}" for name, value in added.items()]
            point |= added
        self._seen.add(identity(point))
        claim = Claim(trial, point, overrides, self.sweep_dir / str(trial.number))
        original = trial.user_attrs.get("retry_of")
        if original is not None:
            claim.restart_from = self.sweep_dir / str(original)
            numbered = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, original)
            claim.earlier_reports = dict(self._storage.get_trial(numbered).intermediate_values)
        return claim


def _suggest(trial: Trial, parameter: Parameter) -> Any:
    name, distribution = parameter.name, parameter.distribution
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
