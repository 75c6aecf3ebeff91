"""Decides between searches on several machines that claim trials at the same moment, where no lock reaches them all.

Every trial has a number, which the study gives out once: the lower number goes first, as among people who drew tickets.
Each search writes down what it takes before it looks at the others, so at least one of two sees the other.
"""

import time

from async_optuna.space import Point
from async_optuna.tally import Tally

# So long a trial with a lower number may choose its point. Who has taken half of that gives way to everybody: the
# others may soon go on without it.
_CHOOSING_SECONDS = 10.0
_PAUSE = 0.05


class SimultaneousClaims:
    """What the claims of others mean for one's own. The study is read again only if that could change the answer.

    Args:
        tally: of this process.
        n_trials: finished trials to reach, of all searches together.
    """

    def __init__(self, tally: Tally, n_trials: int) -> None:
        self._tally = tally
        self._n_trials = n_trials
        self._not_waited_for: set[int] = set()

    def why_not_needed(self, number: int) -> str:
        """Why a trial that has just been asked for is not needed after all, "" if it is."""
        pause, until = _PAUSE, time.monotonic() + _CHOOSING_SECONDS
        while self._tally.most_before(number) >= self._n_trials:
            self._tally.read()
            undecided = len(self._choosing(number))  # some of these will be given back
            is_certain = self._tally.num_before(number) - undecided >= self._n_trials
            if is_certain or time.monotonic() > until:
                break
            if undecided:
                time.sleep(pause)
                pause *= 2
        if self._tally.num_before(number) >= self._n_trials:
            return "not needed: others had taken the last trials"
        return "not needed: its point was queued twice" * self._tally.is_queued_twice(number)

    def num_choosing_before(self, number: int) -> int:
        """How many trials with a lower number choose their points, as far as they were read, or were not read yet."""
        return len(self._choosing(number)) + max(0, number - self._tally.num_read)

    def take(self, number: int, point: Point, seconds: float) -> bool:
        """Whether another search has taken the same point of a finite space, or is about to.

        Args:
            number: of this search's trial, whose point is written down.
            seconds: how long it took to choose the point.
        """
        if not point:
            return False
        if seconds > _CHOOSING_SECONDS / 2:
            self._tally.read()
            return bool(self._tally.holders(point) - {number})
        until = time.monotonic() + _CHOOSING_SECONDS
        while number > self._tally.num_read or self._choosing(number):
            self._tally.read()
            choosing = self._choosing(number)
            if not choosing or self._is_held_before(number, point):
                break
            if time.monotonic() > until:
                self._not_waited_for |= choosing
            time.sleep(_PAUSE)
        return self._is_held_before(number, point)

    def _choosing(self, number: int) -> set[int]:
        return self._tally.choosing_before(number) - self._not_waited_for

    def _is_held_before(self, number: int, point: Point) -> bool:
        return any(other < number for other in self._tally.holders(point))
