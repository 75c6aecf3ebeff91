"""The trial that this process runs, if any. Nothing else of a search is visible to the task."""

import json
from collections.abc import Callable
from typing import Any

from async_optuna.constraints import Constraints

# The user attributes that the search itself gives a trial; METRIC comes before the name of each metric.
OWN_ATTRIBUTES = (
    *("external", "folder", "fresh", "infeasible", "interrupted", "late", "overrides", "owner", "reason"),
    *("repeat_sd", "repeat_seeds", "repeat_values", "retries", "retry", "retry_of", "seconds", "slot", "source"),
)
METRIC = "metric:"

Report = Callable[[float, int], str | None]


class RunningTrial:
    """Lets a task report its progress, learn whether to continue, and set down what else is to be known of the trial.

    Args:
        number: the trial's number.
        ask: takes (value, step) and returns the reason to stop, None to go on.
        limits: the search's limits to metrics.

    Attributes:
        pruned: why the run was told to stop, None if it was not.
        num_steps: how many steps the run will report; to be set by the task, for those who watch the search.
        user_attrs, metrics, constraints: what the task has set.
    """

    def __init__(self, number: int, ask: Report, limits: Constraints | None = None) -> None:
        self.number = number
        self.pruned: str | None = None
        self.num_steps: int | None = None
        self.user_attrs: dict[str, Any] = {}
        self.metrics: dict[str, float] = {}
        self.constraints: dict[str, float] = {}
        self._ask = ask
        self._limits = limits or Constraints()

    def report(self, value: float, step: int, is_last: bool = False) -> str | None:
        """Report the value reached after `step` (counted from 1); a returned reason asks the run to stop early.

        A run that says that this was its last step is never asked to: it ends as complete.
        """
        if step < 0:
            raise ValueError(f"a report's step must not be negative, got {step}")
        answer = self._ask(float(value), int(step))
        if not is_last:
            self.pruned = self.pruned or answer
        return self.pruned

    def set_metric(self, name: str, value: float) -> None:
        """Set a number beside the value that is optimised: it becomes a column of the leaderboard.

        `hydra.sweeper.constraints` can limit it.
        """
        self.metrics[name] = value if isinstance(value, int) else float(value)

    def set_constraint(self, name: str, value: float) -> None:
        """Set by how much the trial misses what is asked of it; at most 0 where it does not.

        Only a trial that misses nothing can be the best, and samplers keep away from what does.
        """
        self.constraints[name] = float(value)
        if self.constraints[name] != self.constraints[name]:
            raise ValueError(f"the constraint {name} must be a number, got NaN")

    def set_user_attr(self, name: str, value: Any) -> None:
        """Keep plain data with the trial in the study, as Optuna's method of that name does."""
        if name in OWN_ATTRIBUTES or name.startswith(METRIC):
            raise ValueError(f"the search itself uses the attribute {name}; choose another name")
        json.dumps(value)  # raises what names the trouble
        self.user_attrs[name] = value

    @property
    def limited(self) -> tuple[str, ...]:
        """The names of the metrics that `hydra.sweeper.constraints` limits."""
        return self._limits.names

    def violation(self) -> str | None:
        """Why the trial cannot be the best, whatever its value: its metrics so far break a limit. Then it may give up.

        Always None where the sampler learns from values only: such a trial should go on to its end.
        """
        return (self._limits.broken(self.metrics) or None) if self._limits.may_give_up else None


_current: RunningTrial | None = None


def current() -> RunningTrial | None:
    """The trial this process runs, None outside a search."""
    return _current


def enter(trial: RunningTrial | None) -> None:
    global _current
    _current = trial
