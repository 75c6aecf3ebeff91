"""When a search starts no further trials, and when too many of them have failed."""

import time
from dataclasses import dataclass

from async_optuna.commands import short_path
from async_optuna.errors import SearchError
from async_optuna.ledger import Ledger
from async_optuna.output import say
from async_optuna.worker import TRACEBACK

STOP_FILE = "STOP"

# A rate means something only once there are a few trials to take it of.
_TRIALS_FOR_A_RATE = 10


@dataclass(frozen=True)
class Limits:
    """When a search ends before its trials are done.

    Attributes:
        timeout_seconds: no trial is started after that; None: no limit.
        max_failure_rate: share of failed among finished trials, looked at from the tenth on; 0.0: not one may fail.
        trial_timeout_seconds, no_report_seconds: when a trial is ended because it hangs, see Overtime.
        patience: no trial is started once so many in a row were not better than the best before them.
        budget_hours: no trial is started once all trials of all calls have taken that long together.
    """

    timeout_seconds: float | None = None
    max_failure_rate: float = 0.0
    trial_timeout_seconds: float | None = None
    no_report_seconds: float | None = None
    patience: int | None = None
    budget_hours: float | None = None

    def check(self, num_objectives: int = 1) -> None:
        """Refuse what cannot be.

        Raises:
            SearchError: naming the setting.
        """
        if not 0 <= self.max_failure_rate <= 1:
            raise SearchError(f"hydra.sweeper.max_failure_rate must be between 0 and 1, got {self.max_failure_rate}")
        for name in ("timeout_seconds", "patience", "budget_hours"):
            value = getattr(self, name)
            if value is not None and not value > 0:  # nor is NaN, which would be no limit at all
                raise SearchError(f"hydra.sweeper.{name} must be positive, got {value}")
        for name in ("trial_timeout_seconds", "no_report_seconds"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise SearchError(f"hydra.sweeper.{name} must not be negative, got {value}; 0 means no limit")
        if self.patience is not None and num_objectives > 1:
            raise SearchError("hydra.sweeper.patience waits for a better value, but there are several objectives")


class LimitsOfASearch:
    """Compares the limits with what has happened since this object was made and, where they say so, before."""

    def __init__(self, limits: Limits, ledger: Ledger) -> None:
        self._limits = limits
        self._ledger = ledger
        self._deadline = time.monotonic() + (limits.timeout_seconds or float("inf"))

    def why_no_more(self, running_seconds: float) -> str:
        """Why no further trial is to be started, "" if one may be.

        Args:
            running_seconds: how long the trials that run now have taken so far, all together.

        Raises:
            SearchError: if too many trials failed.
        """
        limits, ledger = self._limits, self._ledger
        if (ledger.sweep_dir / STOP_FILE).exists():
            return f"stopped by {short_path(ledger.sweep_dir / STOP_FILE)}; remove it to go on"
        if time.monotonic() > self._deadline:
            return f"the time budget of {limits.timeout_seconds:g} s is used up; the same command goes on"
        if limits.budget_hours is not None and ledger.trial_seconds + running_seconds >= limits.budget_hours * 3600:
            hours = f"{limits.budget_hours:g}"
            return f"the trials have used up hydra.sweeper.budget_hours={hours}; the same command with more goes on"
        if limits.patience is not None and ledger.best is not None and ledger.num_since_best >= limits.patience:
            return (
                f"none of the last {ledger.num_since_best} trials was better than trial {ledger.best.number}; "
                f"the same command with more than hydra.sweeper.patience={limits.patience} goes on"
            )
        self.check_failures()
        return ""

    def check_failures(self, at_the_end: bool = False) -> None:
        """Raise SearchError if too many trials failed."""
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
        folder = self._ledger.sweep_dir / str(trial.user_attrs.get("folder", trial.number))
        if with_traceback and (folder / TRACEBACK).is_file():
            say(_middle_left_out((folder / TRACEBACK).read_text(encoding="utf-8")), to_errors=True)
        return f"trial {trial.number}: {trial.user_attrs.get('reason', 'no reason given')} ({short_path(folder)})"


def _middle_left_out(text: str) -> str:
    """A traceback as long as anybody reads it; an error's message may hold a whole tensor."""
    return text if len(text) < 8000 else f"{text[:6000]}\n…\n{text[-1000:]}"
