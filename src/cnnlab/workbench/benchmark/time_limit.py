"""Ends a measurement when the time that all of them have together is up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from timeit import default_timer
from types import FrameType


class TimeIsUp(BaseException):
    """Not an Exception, so that nothing takes it for a failed run."""


class TimeLimit:
    """Counts from its making.

    Args:
        seconds: None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._ends = None if seconds is None else default_timer() + seconds

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Raise TimeIsUp at the limit; where a system has no alarm (Windows), only if it is over at the beginning."""
        if self._ends is None:
            yield
            return
        left = self._ends - default_timer()
        if left <= 0:
            raise TimeIsUp
        if not hasattr(signal, "SIGALRM"):
            yield
            return

        def stop(signum: int, frame: FrameType | None) -> None:
            raise TimeIsUp

        previous = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
