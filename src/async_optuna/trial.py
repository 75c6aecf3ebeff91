"""The trial that this process runs, if any. Nothing else of a search is visible to the task."""

from collections.abc import Callable

Report = Callable[[float, int], str | None]


class RunningTrial:
    """Lets a task report its progress and learn whether to continue.

    Args:
        number: the trial's number.
        ask: takes (value, step) and returns the reason to stop, None to go on.

    Attributes:
        pruned: why the run was told to stop, None if it was not.
    """

    def __init__(self, number: int, ask: Report) -> None:
        self.number = number
        self.pruned: str | None = None
        self._ask = ask

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


_current: RunningTrial | None = None


def current() -> RunningTrial | None:
    """The trial this process runs, None outside a search."""
    return _current


def enter(trial: RunningTrial | None) -> None:
    global _current
    _current = trial
