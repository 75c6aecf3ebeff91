"""Signals that end a run cleanly, with its files closed and its last checkpoint kept."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cnnlab.errors import Interrupted


def stopping() -> list[signal.Signals]:
    """Return the signals that ask a program to end.

    SIGHUP, sent when the terminal closes, is ignored under nohup and missing on Windows.
    """
    signums = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signums.append(signal.SIGHUP)
    return signums


@contextmanager
def signals_raise() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise Interrupted wherever the program is; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        raise Interrupted(signum)

    previous = {signum: signal.signal(signum, stop) for signum in stopping()}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
