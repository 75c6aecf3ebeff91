"""The loop of a search: it fills free slots, answers running trials, records those that ended, and stops cleanly."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from async_optuna.constraints import Constraints
from async_optuna.errors import SearchError
from async_optuna.executors import Ended, Executor, InlineExecutor
from async_optuna.ledger import Claim, Ledger
from async_optuna.output import say
from async_optuna.overtime import Overtime
from async_optuna.results import Results
from async_optuna.signals import Stopped, StopRequest
from async_optuna.slots import Slot
from async_optuna.status import Status
from async_optuna.worker import TRACEBACK, Job

STOP_FILE = "STOP"

# A rate means something only once there are a few trials to take it of.
_TRIALS_FOR_A_RATE = 10

_POLL_SECONDS = 0.5
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """When a search ends before its trials are done.

    Attributes:
        timeout_seconds: no trial is started after that; None: no limit.
        max_failure_rate: share of failed among finished trials, looked at from the tenth on; 0.0: not one may fail.
        trial_timeout_seconds, no_report_seconds: when a trial is ended because it hangs, see Overtime.
    """

    timeout_seconds: float | None = None
    max_failure_rate: float = 0.0
    trial_timeout_seconds: float | None = None
    no_report_seconds: float | None = None


class Search:
    """One call of a search; others may work on the same study at the same time.

    Args:
        describe: turns a claim into the overrides its job is given in that slot.
        constraints: the search's limits to metrics.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        results: Results,
        limits: Limits,
        describe: Callable[[Claim, Slot], Sequence[str]],
        constraints: Constraints | None = None,
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._results = results
        self._limits = limits
        self._describe = describe
        self._constraints = constraints or Constraints()
        self._claims: dict[int, Claim] = {}
        self._free = list(reversed(executor.slots))
        self._stop = StopRequest()
        self._was_cut_short = False
        executor.on_report = self._report
        self._overtime = Overtime(limits.trial_timeout_seconds, limits.no_report_seconds, limits.timeout_seconds)
        ledger.refresh()
        self._overtime.learn(ledger.study.get_trials(deepcopy=False))
        self._status = Status(ledger.n_trials, len(executor.slots), ledger.counts.finished)
        ledger.outage.say = self._status.say

    def run(self) -> None:
        """Run trials until enough have finished.

        Raises:
            Stopped: after a signal, once nothing runs any more.
            SearchError: if too many trials failed.
        """
        self._results.write()
        deadline = time.monotonic() + (self._limits.timeout_seconds or float("inf"))
        why = ""
        try:
            with self._stop.noted(raises=self._runs_a_trial_itself, kill=self._executor.kill):
                try:
                    why = self._run_until(deadline)
                except Stopped:
                    pass
                finally:
                    self._stop_trials()
        finally:
            self._status.close()
            self._conclude()
        if self._stop.signum is not None:
            raise Stopped(self._stop.signum)
        if why:
            say(why)
        self._check_failures(at_the_end=True)

    def _conclude(self) -> None:
        self._ledger.refresh()
        self._results.write()
        self._ledger.leave()

    def _run_until(self, deadline: float) -> str:
        """Return why no further trial was started, "" if enough have finished."""
        while self._stop.signum is None:
            self._ledger.catch_up()
            why = self._why_no_more(deadline)
            while self._free and not why and self._stop.signum is None:
                claim = self._ledger.claim(self._free[-1].index)
                if claim is None:
                    break
                self._start(claim)
            counts = self._ledger.counts
            is_idle = not self._claims and not self._ledger.is_behind
            if is_idle and (why or counts.finished >= self._ledger.n_trials):
                return why
            if is_idle and self._ledger.is_exhausted() and not counts.running:
                return f"all {counts.finished} points of the space have been run: there is nothing left to try"
            for ended in self._executor.wait(_POLL_SECONDS):
                self._settle(ended)
            self._end_hanging()
            self._status.show(counts, self._ledger.best)
        return ""

    def _start(self, claim: Claim) -> None:
        slot = self._free.pop()
        self._claims[claim.number] = claim
        overrides = self._describe(claim, slot)
        num_values = len(self._ledger.study.directions)
        self._overtime.begins(claim.number)
        try:
            job = Job(claim.number, overrides, claim.folder, num_values, slot.environment, self._constraints)
            self._executor.start(slot, job)
        except SearchError:
            self._ledger.lose(self._claims.pop(claim.number).number, "it could not be started", uses_a_retry=False)
            raise

    def _settle(self, ended: Ended) -> None:
        claim = self._claims.pop(ended.number)
        self._overtime.ends(ended.number)
        self._free.append(ended.slot)
        again = False
        is_cut_short = self._was_cut_short or self._stop.signum is not None
        # An exception after the request to stop says nothing about the point: clean-up code may hide the true reason.
        if is_cut_short and (ended.outcome is None or ended.outcome.state == "FAIL"):
            self._ledger.lose(ended.number, "the search was stopped", uses_a_retry=False)
            return
        if ended.outcome is not None:
            self._ledger.finish(ended.number, ended.outcome)
        else:
            again = self._ledger.lose(ended.number, ended.reason, uses_a_retry=True)
        self._ledger.refresh()
        self._status.ended(claim, ended, self._ledger.counts, self._ledger.best, again)
        self._results.keep_up(ended.number)

    def _end_hanging(self) -> None:
        for number, reason in self._overtime.hanging():
            ended = self._executor.end(number, reason)
            if ended is not None:
                self._settle(ended)

    def _stop_trials(self) -> None:
        """End what still runs, which is nothing unless the search was cut short."""
        if self._claims:
            self._status.say(f"stopping {len(self._claims)} running trial{'s' * (len(self._claims) > 1)} …")
            self._was_cut_short = True
            for ended in self._executor.stop(_GRACE_SECONDS):
                self._settle(ended)

    def _runs_a_trial_itself(self) -> bool:
        return isinstance(self._executor, InlineExecutor) and self._executor.is_running

    def _report(self, number: int, value: float, step: int) -> str | None:
        self._overtime.reports(number)
        return self._ledger.report(self._claims[number], value, step)

    def _why_no_more(self, deadline: float) -> str:
        if (self._ledger.sweep_dir / STOP_FILE).exists():
            return f"stopped by the file {self._ledger.sweep_dir / STOP_FILE}; remove it to go on"
        if time.monotonic() > deadline:
            return f"the time budget of {self._limits.timeout_seconds:g} s is used up; the same command goes on"
        self._check_failures()
        return ""

    def _check_failures(self, at_the_end: bool = False) -> None:
        counts, rate = self._ledger.counts, self._limits.max_failure_rate
        if not counts.failed:
            return
        if at_the_end and counts.failed == counts.finished and rate < 1:
            raise SearchError(f"all {counts.failed} trials failed; the first: {self._first_failure()}")
        enough = counts.finished >= _TRIALS_FOR_A_RATE or rate == 0.0
        if enough and counts.failed / counts.finished > rate:
            failure = self._first_failure(with_traceback=True)
            raise SearchError(
                f"{counts.failed} of {counts.finished} trials failed, more than "
                f"hydra.sweeper.max_failure_rate={rate:g} allows; the first: {failure}"
            )

    def _first_failure(self, with_traceback: bool = False) -> str:
        trial = self._ledger.first_failure
        if trial is None:
            return "unknown"
        folder = self._ledger.sweep_dir / str(trial.number)
        if with_traceback and (folder / TRACEBACK).is_file():
            say(_middle_left_out((folder / TRACEBACK).read_text(encoding="utf-8")), to_errors=True)
        return f"trial {trial.number}: {trial.user_attrs.get('reason', 'no reason given')} ({folder})"


def _middle_left_out(text: str) -> str:
    """A traceback as long as anybody reads it; an error's message may hold a whole tensor."""
    return text if len(text) < 8000 else f"{text[:6000]}\n…\n{text[-1000:]}"
