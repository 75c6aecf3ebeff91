"""The signals that ask a search to stop."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# SIGHUP is sent when the terminal closes; Windows does not have it.
STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])

# Whoever sends a signal to all processes of a job may reach this one twice, directly and through its parent.
_SAME_REQUEST_SECONDS = 0.5


class Stopped(BaseException):
    """The search was stopped by a signal, and nothing runs any more."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum


class StopRequest:
    """Whether a signal has asked for the end.

    Attributes:
        signum: the signal's number, None as long as there was none.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._at = 0.0

    @contextmanager
    def noted(self, raises: Callable[[], bool], kill: Callable[[], None]) -> Iterator[None]:
        """Note the first signal to stop for the loop to see; raising in the middle of a claim would lose a trial.

        Args:
            raises: whether Stopped is to be raised after all, because this process itself runs a trial.
            kill: called at the second request, which ends this process at once.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(signum: int, frame: FrameType | None) -> None:
            if self.signum is None:
                self.signum, self._at = signum, time.monotonic()
                if raises():
                    raise Stopped(signum)
            elif time.monotonic() - self._at > _SAME_REQUEST_SECONDS:
                kill()
                os._exit(128 + signum)

        heard = [signum for signum in STOP_SIGNALS if not _is_ignored_hangup(signum)]
        previous = {signum: signal.signal(signum, note) for signum in heard}
        try:
            yield
        finally:
            for signum, handler in previous.items():
                signal.signal(signum, handler)


def _is_ignored_hangup(signum: int) -> bool:
    """As it is under nohup."""
    return signum not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(signum) == signal.SIG_IGN
