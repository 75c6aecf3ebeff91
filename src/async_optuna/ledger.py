"""Keeps account of the trials of a study: which ones count, which ones are lost, and which one runs next."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial

from async_optuna.claim import Claim, suggest
from async_optuna.distributions import plain_text
from async_optuna.errors import SearchError, is_told_in_one_line, on_one_line
from async_optuna.files import FileLock
from async_optuna.lost_trials import LostTrials, is_settled
from async_optuna.optuna_internals import as_read_last, trial_numbered
from async_optuna.outage import Outage, is_passing
from async_optuna.outcome import Outcome
from async_optuna.output import say
from async_optuna.ownership import Owner
from async_optuna.simultaneous_claims import SimultaneousClaims
from async_optuna.space import Point, Space
from async_optuna.tally import Counts, Tally


class Ledger:
    """One process's view of a study that others may be working on at the same time.

    All that decides, from counting to writing down who runs the trial, happens under one lock of the sweep folder.
    While the study cannot be reached no trial is given out; the reports and ends of running ones are kept and written
    down later.

    Args:
        study: opened by this process, with its sampler and pruner.
        space: what the trials choose from.
        sweep_dir: the folder of all trials, shared with the controllers on this machine.
        n_trials: finished trials to reach, all controllers and all calls together.
        max_retries: how often a trial whose process died is run again.
        is_shared: whether controllers on other machines may join (they do not see this folder's lock).
        extend: an app's own addition to a trial's point, called with the Optuna trial.
        dead_after_seconds: how long a controller on another machine may give no sign of life.
        storage_patience_seconds: how long it is tried again to reach the study before the search ends.
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
        dead_after_seconds: float = 90.0,
        storage_patience_seconds: float = 600.0,
    ) -> None:
        self.study = study
        self.space = space
        self.sweep_dir = sweep_dir
        self.n_trials = n_trials
        self.size = None if extend else space.size()
        self.num_expected = n_trials if self.size is None else min(n_trials, self.size)
        self.outage = Outage(storage_patience_seconds, say)
        self._max_retries = max_retries
        self._is_shared = is_shared
        self._extend = extend
        self._tally = Tally(study)
        self._lock = FileLock(sweep_dir / ".lock")
        self._claims: dict[int, Claim] = {}
        self._unwritten: list[Callable[[], None]] = []
        with self._lock:
            self._owner = Owner(sweep_dir, study, is_shared, dead_after_seconds)
        self._lost = LostTrials(study, self._tally, self._owner, sweep_dir)
        self._others = SimultaneousClaims(self._tally, n_trials)

    @property
    def counts(self) -> Counts:
        return self._tally.counts

    @property
    def best(self) -> FrozenTrial | None:
        """The best trial of a search with one objective."""
        return self._tally.front[0] if self._tally.front and len(self.study.directions) == 1 else None

    @property
    def front(self) -> list[FrozenTrial]:
        """The trials that no other beats in every objective, by number."""
        return sorted(self._tally.front, key=lambda trial: trial.number)

    @property
    def first_failure(self) -> FrozenTrial | None:
        return next(iter(self._tally.failed.values()), None)

    @property
    def num_since_best(self) -> int:
        return self._tally.num_since_best

    @property
    def trial_seconds(self) -> float:
        return self._tally.trial_seconds

    @property
    def orphans(self) -> Mapping[int, float]:
        """Trials whose controller is gone and whose process still lives, and since when that is seen."""
        return self._lost.orphans

    # --- Claiming ---------------------------------------------------------------------------------------------------

    def claim(self, slot: int | None = None) -> Claim | None:
        """Take the next trial, for a slot; None if enough have finished or are running, or no unseen point is left.

        Raises:
            SearchError: if the trial's folder exists, or no point can be chosen.
        """
        claim = None
        self.catch_up()
        if not self.outage.is_on and not self._unwritten:
            with self._reached("no trial can be begun"), self._lock:
                claim = self._claim(slot)
        return claim

    def _claim(self, slot: int | None) -> Claim | None:
        self._lost.settle(self._claims)
        held = len(self._tally.lost)
        if self.counts.finished + self.counts.running + held >= self.n_trials or self._is_all_seen():
            if not held or self.counts.running:
                return None
            self._lost.run_again(held=True)
        began = time.monotonic()
        with as_read_last(self.study):
            trial = self.study.ask()
        reason = "its point could not be chosen"
        try:
            if self._is_shared and (why := self._others.why_not_needed(trial.number)):
                reason = why
                return None
            claim = self._describe(trial)
            attributes = {"overrides": claim.overrides, "folder": str(claim.number), "owner": self._owner.name}
            for name, value in attributes.items() if slot is None else {**attributes, "slot": slot}.items():
                trial.set_user_attr(name, value)
            if self._may_be_taken(trial) and self._others.take(trial.number, claim.point, time.monotonic() - began):
                reason = "not needed: another search took its point at the same moment"
                return None
            reason = ""
            claim.folder.mkdir(parents=True)
            self._claims[trial.number] = claim
            return claim
        except UpdateFinishedTrialError:  # choosing took so long that others took this controller for dead
            return None
        except FileExistsError as error:
            reason = "its folder existed already"
            raise SearchError(
                f"{self.sweep_dir / str(trial.number)} already exists, but trial {trial.number} is new: the folder "
                "belongs to another study; name another hydra.sweeper.study_name or hydra.sweep.dir"
            ) from error
        except Exception as error:
            # What passes cannot be written down now: the next claim finds a trial that nobody runs.
            reason = "" if is_passing(error) else reason or "its folder could not be made"
            raise
        finally:
            if reason and trial.number not in self._claims:
                self._lost.interrupt(trial.number, reason, retry=False)

    def is_exhausted(self) -> bool:
        """Whether every point of a finite space was run or is running."""
        return self._is_all_seen() and not self._tally.lost

    def _is_all_seen(self) -> bool:
        return self.size is not None and self._tally.num_seen >= self.size and not self._tally.is_any_waiting

    def is_seen(self, point: Point) -> bool:
        return self._tally.is_seen(point)

    def num_choosing_before(self, number: int) -> int:
        """How many trials before this one may choose their points now, on other machines."""
        return self._others.num_choosing_before(number) if self._is_shared else 0

    def enqueue(self, points: Sequence[tuple[Point, str]]) -> None:
        """Have points run before any others, each with the name of where it comes from; known ones are left out."""
        with self._lock:
            self._tally.read()
            for point, source in points:
                if not self.is_seen(point):
                    self.study.enqueue_trial(point, user_attrs={"source": source})
                    self._tally.see(point)

    def retry_failed(self) -> int:
        """Have the points of all trials that have failed run again, before any others; return how many there are."""
        with self._lock:
            return self._lost.retry_failed()

    # --- While it runs, and after -----------------------------------------------------------------------------------

    def report(self, claim: Claim, value: float, step: int) -> str | None:
        """Write down an intermediate value; return the reason if the pruner wants the trial to end.

        The defaults' trial is what there is to beat, so it may always run to its end.

        Raises:
            SearchError: if the pruner fails.
        """
        if len(self.study.directions) > 1 or step in claim.reported:
            return None
        claim.reported.add(step)
        claim.reports[step] = value
        reason = None
        if not self.outage.is_on:
            with self._reached(f"trial {claim.number} cannot report"), suppress(UpdateFinishedTrialError):
                reason = self._report(claim, value, step)  # if others have ended it, the next report finds out
        return reason

    def _report(self, claim: Claim, value: float, step: int) -> str | None:
        if trial_numbered(self.study, claim.number).state.is_finished():
            # Its result is kept, should it be the first to come.
            settled = is_settled(self._lost.last_run(claim.number))
            return "another controller took this one for dead and ran its trial" if settled else None
        earlier = {old: value for old, value in claim.earlier_reports.items() if old < step}
        for old, earlier_value in sorted({**earlier, **claim.reports}.items()):
            claim.trial.report(earlier_value, old)
        claim.earlier_reports, claim.reports = {}, {}
        if claim.trial.user_attrs.get("source") == "defaults" or not claim.trial.should_prune():
            return None
        name = (self.study.metric_names or ["value"])[0]
        return f"{type(self.study.pruner).__name__} after step {step}: {name} {value:.6g}"

    def finish(self, number: int, outcome: Outcome) -> None:
        """Tell the study how a trial ended, unless somebody did; now, or once the study can be reached again."""
        self._unwritten.append(lambda: self._finish(number, outcome))
        self.catch_up()

    def _finish(self, number: int, outcome: Outcome) -> None:
        reports = self._claims[number].reports if number in self._claims else {}
        if not self._is_told(number, outcome, reports):
            trial = trial_numbered(self.study, number)
            if not is_settled(trial):
                self._lost.keep_late(number, outcome, {**trial.intermediate_values, **reports})
        self._claims.pop(number, None)

    def _is_told(self, number: int, outcome: Outcome, reports: Mapping[int, float]) -> bool:
        """Tell the study; False if somebody has ended the trial, perhaps at this moment."""
        if trial_numbered(self.study, number).state.is_finished():
            return False
        try:
            for step, value in sorted(reports.items()):
                self._claims[number].trial.report(value, step)
            self._lost.tell(number, outcome)
        except UpdateFinishedTrialError:
            return False
        return True

    def lose(self, number: int, reason: str, uses_a_retry: bool, seconds: float = 0.0, external: bool = False) -> bool:
        """Note that a trial ended without a result that counts; return whether the point will be run again.

        Args:
            uses_a_retry: whether it died by itself; then after max_retries it is a failure like any other.
            seconds: how long it ran.
            external: whether something outside it was wrong; then it is run again once that is over.
        """
        if number not in self._claims:
            return False
        retries = self._claims[number].retries
        if uses_a_retry and retries >= self._max_retries:
            times = f"{retries + 1} times" if retries else "once"
            self.finish(number, Outcome("FAIL", reason=f"{reason} ({times}; no retry left)", seconds=seconds))
            return False
        attributes = {"retries": retries + uses_a_retry, "seconds": round(seconds, 3)}
        attributes |= {"external": True} if external else {}
        self._unwritten.append(lambda: self._lose(number, reason, attributes))
        self.catch_up()
        return True

    def _lose(self, number: int, reason: str, attributes: Mapping[str, float]) -> None:
        with self._lock:
            self._lost.interrupt(number, reason, **attributes)
            self._tally.read()
            self._lost.run_again()
        self._claims.pop(number, None)

    @property
    def is_behind(self) -> bool:
        """Whether there is something that could not be written down yet."""
        return bool(self._unwritten)

    def catch_up(self) -> None:
        """Write down what could not be written while the study could not be reached.

        Raises:
            SearchError: if it could not be for too long, or the sampler fails.
        """
        if self.outage.is_on and self.outage.is_time_to_try():
            with self._reached("the study cannot be written"):
                self._owner.beat()  # reading would tell nothing of a full disk
        while self._unwritten and not self.outage.is_on:
            with self._reached("the end of a trial cannot be written down"):
                self._unwritten[0]()
                del self._unwritten[0]

    def leave(self) -> None:
        with suppress(OSError), self._lock:
            self._owner.leave()

    def refresh(self) -> None:
        """Read what has happened since the last call, by whomever."""
        if not self.outage.is_on:
            with self._reached("the study cannot be read"):
                self._tally.read()

    # --- Inside ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _reached(self, what: str) -> Iterator[None]:
        """Endure that the study cannot be reached; make one line of whatever else Optuna raises."""
        was_out = self.outage.is_on
        try:
            with self.outage.endured():
                yield
        except OSError as error:
            raise SearchError(f"{what}: {error.strerror} ({error.filename or self.sweep_dir})") from error
        except Exception as error:
            if is_told_in_one_line(error):
                raise
            raise SearchError(f"{what}: {type(error).__name__}: {on_one_line(error)}") from error
        if was_out and not self.outage.is_on:
            self._owner.forget_the_silence()

    def _may_be_taken(self, trial: Trial) -> bool:
        """Whether a search on another machine may choose the same point now; one that runs again belongs to nobody."""
        return self._is_shared and self.size is not None and "retry_of" not in trial.user_attrs

    def _describe(self, trial: Trial) -> Claim:
        point, overrides = self.space.walk(lambda parameter: suggest(trial, parameter))
        if self._extend is not None:
            self._extend(trial)
            added = {name: value for name, value in trial.params.items() if name not in point}
            overrides += [f"{name}={plain_text(value)}" for name, value in added.items()]
            point |= added
        self._tally.see(point)
        claim = Claim(trial, point, overrides, self.sweep_dir / str(trial.number))
        claim.retries = trial.user_attrs.get("retries", 0)
        original = trial.user_attrs.get("retry_of")
        if original is not None and not trial.user_attrs.get("fresh"):
            claim.restart_from = self.sweep_dir / str(original)
            claim.earlier_reports = dict(trial_numbered(self.study, original).intermediate_values)
        return claim
