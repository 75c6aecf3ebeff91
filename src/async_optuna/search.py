"""The loop of a search: it fills free slots, answers running trials, records those that ended, and stops cleanly."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from async_optuna.claim import Claim
from async_optuna.commands import short_path
from async_optuna.constraints import Constraints
from async_optuna.errors import SearchError
from async_optuna.executors import Ended, Executor
from async_optuna.external_failures import ExternalFailures
from async_optuna.inline_executor import InlineExecutor
from async_optuna.ledger import Ledger
from async_optuna.limits import Limits, LimitsOfASearch
from async_optuna.output import say
from async_optuna.overtime import Overtime
from async_optuna.repeats import Repeats, RunsOfATrial
from async_optuna.results import Results
from async_optuna.signals import Stopped, StopRequest
from async_optuna.slot_count import FreeSlots
from async_optuna.slots import Slot
from async_optuna.space import identity
from async_optuna.status import Status
from async_optuna.worker import Job

_POLL_SECONDS = 0.5
_GRACE_SECONDS = 10.0
_GONE_SECONDS = 2.0


class Search:
    """One call of a search; others may work on the same study at the same time.

    Args:
        describe: turns a claim into the overrides its job is given in that slot.
        constraints: the search's limits to metrics.
        repeats: the runs that make a trial.
        step_name: what a trial reports after, such as an epoch.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        results: Results,
        limits: Limits,
        describe: Callable[[Claim, Slot], Sequence[str]],
        constraints: Constraints | None = None,
        step_name: str = "step",
        repeats: Repeats | None = None,
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._results = results
        self._limits = LimitsOfASearch(limits, ledger)
        self._describe = describe
        self._constraints = constraints or Constraints()
        self._repeats = repeats or Repeats()
        self._runs: dict[int, RunsOfATrial] = {}
        self._claims: dict[int, Claim] = {}
        self._external = ExternalFailures()
        self._stop = StopRequest()
        self._was_cut_short = False
        self._orphans_told: set[int] = set()
        self._settled: list[int] = []
        executor.on_report = self._report
        self._overtime = Overtime(limits.trial_timeout_seconds, limits.no_report_seconds, limits.timeout_seconds)
        ledger.refresh()
        self._overtime.learn(ledger.study.get_trials(deepcopy=False))
        self._status = Status(
            ledger.study.study_name,
            ledger.num_expected,
            len(executor.slots),
            ledger.counts.finished,
            "run" if self._repeats.seeds else step_name,
            limits.timeout_seconds,
        )
        ledger.outage.say = self._status.say
        can_grow = not isinstance(executor, InlineExecutor)
        self._free = FreeSlots(executor.slots, ledger.sweep_dir, can_grow, self._status.say)

    def run(self) -> None:
        """Run trials until enough have finished.

        Raises:
            Stopped: after a signal, once nothing runs any more.
            SearchError: if too many trials failed.
        """
        self._results.write()
        why = ""
        try:
            with self._stop.noted(raises=self._runs_a_trial_itself, kill=self._executor.kill):
                try:
                    why = self._run_until_enough()
                except Stopped:
                    pass
                finally:
                    self._stop_trials()
        finally:
            self._executor.close()
            self._status.close()
            self._conclude()
        if self._stop.signum is not None:
            raise Stopped(self._stop.signum)
        self._external.check()
        if why:
            say(why)
        self._limits.check_failures(at_the_end=True)

    def _conclude(self) -> None:
        self._ledger.refresh()
        self._results.write()
        self._ledger.leave()

    def _run_until_enough(self) -> str:
        """Return why no further trial was started, "" if enough have finished."""
        while self._stop.signum is None:
            self._ledger.catch_up()
            why = self._limits.why_no_more(self._overtime.seconds()) or self._external.why_no_more
            self._free.look()
            if not why and not self._external.pause:
                self._fill_slots()
            self._write_results()
            counts = self._ledger.counts
            is_idle = not self._claims and not self._ledger.is_behind
            if is_idle and (why or counts.finished >= self._ledger.n_trials):
                return why
            if is_idle and self._ledger.is_exhausted() and not counts.running:
                return f"all {counts.finished} points of the space have been run: there is nothing left to try"
            for ended in self._executor.wait(_POLL_SECONDS):
                self._process_ended(ended)
            self._end_hanging()
            self._tell_of_orphans()
            self._status.show(counts, self._ledger.best, why or self._note())
        return ""

    def _note(self) -> str:
        """Why no trial is started for the moment."""
        return self._external.pause if self._free.wanted else "paused"

    def _fill_slots(self) -> None:
        while self._stop.signum is None and (slot := self._free.take()) is not None:
            claim = self._ledger.claim(slot.index)
            if claim is None:
                self._free.give_back(slot)
                return
            self._start(claim, slot)

    def _tell_of_orphans(self) -> None:
        """Say what is waited for, unless it ends at once, as trials of a killed search do."""
        now = time.monotonic()
        for number, since in self._ledger.orphans.items():
            if number not in self._orphans_told and now - since > _GONE_SECONDS:
                self._orphans_told.add(number)
                folder = short_path(self._ledger.sweep_dir / str(number))
                self._status.say(
                    f"trial {number}  still runs in {folder}, though its search is gone: waiting for its end"
                )

    def _start(self, claim: Claim, slot: Slot) -> None:
        self._claims[claim.number] = claim
        self._overtime.begins(claim.number)
        self._status.begins(claim)
        if self._repeats.seeds:
            runs = self._runs[claim.number] = self._repeats.begin(claim.folder, claim.restart_from)
            pruned = [self._report_repeat(claim, runs, step) for step in range(1, len(runs.outcomes) + 1)]
            if not runs.is_open or any(pruned):
                outcome = runs.combined(self._constraints, next(filter(None, pruned), "") if runs.is_open else "")
                self._settle(Ended(claim.number, slot, outcome))
                return
        self._run(claim, slot)

    def _run(self, claim: Claim, slot: Slot) -> None:
        """Start a trial's process, or that of its next repeat."""
        job = Job(claim.number, (), claim.folder, len(self._ledger.study.directions), slot.environment)
        job = replace(job, limits=self._constraints)
        runs = self._runs.get(claim.number)
        if runs is None:
            job = replace(job, overrides=self._describe(claim, slot))
        else:
            run = replace(claim, folder=runs.folder, restart_from=runs.restart_from)
            run.folder.mkdir(exist_ok=True)
            overrides = runs.overrides(self._describe(run, slot))
            job = replace(job, overrides=overrides, folder=run.folder, trial_folder=claim.folder)
        try:
            self._executor.start(slot, job)
        except SearchError:
            self._ledger.lose(self._claims.pop(claim.number).number, "it could not be started", uses_a_retry=False)
            raise

    def _report_repeat(self, claim: Claim, runs: RunsOfATrial, step: int) -> str | None:
        """Report a repeat's value; return the reason if there are to be no more of them."""
        values = runs.outcomes[step - 1].values
        assert values  # of a run that is complete
        self._overtime.reports(claim.number)
        self._status.reports(claim.number, values[0], step, len(self._repeats.seeds))
        reason = self._ledger.report(claim, values[0], step)
        return reason if step < len(self._repeats.seeds) else None

    def _after_a_run(self, ended: Ended) -> Ended | None:
        """The end of the whole trial, None if another of its runs has been started."""
        runs, outcome = self._runs[ended.number], ended.outcome
        if outcome is None or outcome.external:
            return ended
        if outcome.state != "COMPLETE":
            return replace(ended, outcome=runs.failed(outcome))
        runs.outcomes.append(outcome)
        pruned = self._report_repeat(self._claims[ended.number], runs, len(runs.outcomes))
        if runs.is_open and not pruned:
            if self._was_cut_short or self._stop.signum is not None:
                return replace(ended, outcome=None)  # the next call goes on with the repeats that are left
            self._run(self._claims[ended.number], ended.slot)
            return None
        return replace(ended, outcome=runs.combined(self._constraints, pruned or ""))

    def _process_ended(self, ended: Ended) -> None:
        whole = self._after_a_run(ended) if ended.number in self._runs else ended
        if whole is not None:
            self._settle(whole)

    def _settle(self, ended: Ended) -> None:
        """Write down the end of a trial."""
        claim = self._claims.pop(ended.number)
        self._runs.pop(ended.number, None)
        seconds = self._overtime.ends(ended.number)
        self._free.give_back(ended.slot)
        again = False
        is_cut_short = self._was_cut_short or self._stop.signum is not None
        # An exception after the request to stop says nothing about the point: clean-up code may hide the true reason.
        if is_cut_short and (ended.outcome is None or ended.outcome.state == "FAIL"):
            self._ledger.lose(ended.number, "the search was stopped", uses_a_retry=False, seconds=seconds)
            return
        if ended.outcome is not None and ended.outcome.external:
            reason = ended.outcome.reason
            may_be_its_fault = self._external.add(identity(claim.point), reason)
            again = self._ledger.lose(ended.number, reason, may_be_its_fault, seconds, external=True)
        elif ended.outcome is not None:
            self._ledger.finish(ended.number, ended.outcome)
            self._external.forget()
        else:
            again = self._ledger.lose(ended.number, ended.reason, uses_a_retry=True, seconds=seconds)
        self._ledger.refresh()
        self._status.ended(claim, ended, self._ledger.counts, self._ledger.best, again)
        self._settled.append(ended.number)
        if isinstance(self._executor, InlineExecutor):  # the next trial would come first
            self._write_results()

    def _write_results(self) -> None:
        """Write what has ended, once free slots have been given something to do: a disk takes its time."""
        for number in self._settled:
            self._results.keep_up(number)
        self._settled.clear()

    def _end_hanging(self) -> None:
        for number, reason in self._overtime.hanging():
            ended = self._executor.end(number, reason)
            if ended is not None:
                self._process_ended(ended)

    def _stop_trials(self) -> None:
        """End what still runs, which is nothing unless the search was cut short."""
        if self._claims:
            self._status.say(f"stopping {len(self._claims)} running trial{'s' * (len(self._claims) > 1)} …")
            self._was_cut_short = True
            for ended in self._executor.stop(_GRACE_SECONDS):
                self._process_ended(ended)

    def _runs_a_trial_itself(self) -> bool:
        return isinstance(self._executor, InlineExecutor) and self._executor.is_running

    def _report(self, number: int, value: float, step: int, num_steps: int | None = None) -> str | None:
        self._overtime.reports(number)
        if self._repeats.seeds:  # what counts is a run as a whole
            return None
        self._status.reports(number, value, step, num_steps)
        return self._ledger.report(self._claims[number], value, step)
