"""Settles trials whose process is gone: their points are run again, and a result that comes late after all is kept."""

import time
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from async_optuna.files import is_held
from async_optuna.optuna_internals import ENQUEUED_PARAMS, id_of_trial, storage_of, trial_numbered
from async_optuna.outcome import Outcome
from async_optuna.ownership import Owner
from async_optuna.tally import Tally


class LostTrials:
    """The trials of a study that ended without a result, here or elsewhere.

    To be used under the study's lock, but for keep_late.

    Attributes:
        orphans: trials whose controller is gone and whose process still lives, and since when that is seen.
    """

    def __init__(self, study: optuna.Study, tally: Tally, owner: Owner, sweep_dir: Path) -> None:
        self._study = study
        self._tally = tally
        self._owner = owner
        self._sweep_dir = sweep_dir
        self._storage: BaseStorage = storage_of(study)
        self.orphans: dict[int, float] = {}

    def settle(self, claimed: Container[int]) -> None:
        """Settle the trials of controllers that are gone, then put every lost point back into the queue.

        Args:
            claimed: the trials that this controller runs; others of its name are claims that an error broke off.
        """
        self._tally.read()
        running = [trial for _, trial in sorted(self._tally.open.items()) if trial.state == TrialState.RUNNING]
        others = [trial for trial in running if trial.number not in claimed]
        if others:
            self._owner.look()
        is_any_settled = False
        for trial in others:
            number, owner = trial.number, trial.user_attrs.get("owner")
            if owner != self._owner.name and self._owner.lives(owner, number):
                continue
            folder = self._sweep_dir / str(number)
            if is_held(folder):
                self.orphans.setdefault(number, time.monotonic())  # its process is still on the way out
                continue
            self.orphans.pop(number, None)
            is_any_settled = True
            outcome = Outcome.read(folder)
            if outcome is not None and outcome.external:
                self.interrupt(number, outcome.reason, external=True, seconds=round(outcome.seconds, 3))
            elif outcome is not None:
                with suppress(UpdateFinishedTrialError):  # another one has just found it too
                    self.tell(number, outcome)
            else:
                self.interrupt(number, "its controller was gone")
        if is_any_settled:
            self._tally.read()
        self.run_again()

    def tell(self, number: int, outcome: Outcome) -> None:
        """Write the end of a trial into the study."""
        outcome.record(self._storage, id_of_trial(trial_numbered(self._study, number)))
        state = TrialState[outcome.state]
        values = outcome.values if state == TrialState.COMPLETE else None
        self._study.tell(number, values, state, skip_if_finished=True)

    def interrupt(self, number: int, reason: str, **attributes: Any) -> None:
        """End a trial without a result, unless somebody has ended it, perhaps at this moment; it does not count."""
        trial = trial_numbered(self._study, number)
        if trial.state.is_finished():
            return
        with suppress(UpdateFinishedTrialError):
            for name, value in {**attributes, "interrupted": True, "reason": reason}.items():
                self._storage.set_trial_user_attr(id_of_trial(trial), name, value)
            self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def run_again(self, held: bool = False) -> None:
        """Put the lost points back into the queue, as far as they were read; only a whole point can be repeated.

        What failed for a reason outside it is held back until another trial shows by its result that this is over.

        Args:
            held: put that back too.
        """
        again = [lost for lost in self._tally.lost.values() if held or not self._is_held(lost)]
        for lost in again:
            self._enqueue(lost, retries=lost.user_attrs.get("retries", 0))
            self._tally.lost.pop(lost.number, None)
        if again:
            self._tally.read()

    def retry_failed(self) -> int:
        """Put the points of all failed trials back into the queue, to be run from the beginning; return how many."""
        self._tally.read()
        failed = list(self._tally.failed.values())
        for trial in failed:
            self._enqueue(trial, retries=0, fresh=True)
        self._tally.read()
        return len(failed)

    def _is_held(self, lost: FrozenTrial) -> bool:
        last = self._tally.last_result
        is_over = last is not None and lost.datetime_complete is not None and last > lost.datetime_complete
        return bool(lost.user_attrs.get("external")) and not is_over

    def _enqueue(self, earlier: FrozenTrial, **attributes: Any) -> None:
        queued = earlier.system_attrs.get(ENQUEUED_PARAMS)
        point = queued or (earlier.params if "owner" in earlier.user_attrs else None)
        if point is not None:
            attributes |= {"source": earlier.user_attrs.get("source", "retry"), "retry_of": earlier.number}
            self._study.enqueue_trial(point, user_attrs=attributes)

    def last_run(self, number: int) -> FrozenTrial:
        """The trial that a trial's point was run in last, or is to be."""
        self._tally.read()
        return trial_numbered(self._study, self._tally.last_retry(number))

    def keep_late(self, number: int, outcome: Outcome, reports: dict[int, float]) -> None:
        """Keep what a trial found that others had taken for dead, unless somebody has finished its point meanwhile.

        Its retry gets the result and is not run, or not to its end, so that the point counts once. A failure is not
        kept: the retry may do better.
        """
        last = self.last_run(number)
        if outcome.state == "FAIL" or is_settled(last):
            return
        trial = trial_numbered(self._study, number)
        attributes = {"folder": str(number), "late": True} | {
            name: trial.user_attrs[name] for name in ("overrides", "owner", "slot") if name in trial.user_attrs
        }
        if last.state.is_finished():  # nobody has put the point back into the queue
            self._study.enqueue_trial(trial.params, {"source": "retry", "retry_of": last.number})
            last = self.last_run(number)
        trial_id = id_of_trial(last)
        if self._storage.set_trial_state_values(trial_id, TrialState.RUNNING):
            for name, distribution in trial.distributions.items():
                chosen = distribution.to_internal_repr(trial.params[name])
                self._storage.set_trial_param(trial_id, name, chosen, distribution)
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(trial_id, name, value)
        for step, report in sorted(reports.items()):
            self._storage.set_trial_intermediate_value(trial_id, step, report)
        self.tell(last.number, outcome)


def is_settled(trial: FrozenTrial) -> bool:
    """Whether a trial has come to an end that counts."""
    return trial.state.is_finished() and not trial.user_attrs.get("interrupted")
