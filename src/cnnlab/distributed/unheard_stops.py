"""Ends a process of a run that is asked to stop while it waits for another one, outside of Python.

Python runs a handler between two instructions of the main thread, and that thread has none as long as it waits for the
others to join the run, or for their part of a sum. They may be frozen, or on a machine that is cut off.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cnnlab.cli.signals import stopping

_TO_HEAR = 6.0  # seconds for the main thread to run its handler
_MOMENT = 0.1


class UnheardStops:
    """Listens for signals in a thread, which hears them always.

    Args:
        end: called in that thread with the signal's number, if the handler has not run in time; it ends the process.

    Attributes:
        signum: of a stop that has come, whether it was heard or not; None before.
    """

    def __init__(self, end: Callable[[int], Any]) -> None:
        self.signum: int | None = None
        self._end = end
        self._handlers: dict[int, Any] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in the main thread, for the signals whose handler raises Interrupted."""
        if threading.current_thread() is not threading.main_thread() or os.name == "nt":
            yield
            return
        handlers = {int(signum): signal.getsignal(signum) for signum in stopping()}
        self._handlers = {
            signum: handler
            for signum, handler in handlers.items()
            if callable(handler) and handler is not signal.default_int_handler
        }
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._listen, args=(reader,), name="stops", daemon=True).start()
        try:
            yield
        finally:
            self._handlers = {}
            signal.set_wakeup_fd(before)
            os.close(writer)  # which ends the thread

    def _listen(self, reader: int) -> None:
        with os.fdopen(reader, "rb", buffering=0) as signals:
            while byte := signals.read(1):
                if byte[0] in self._handlers:
                    self.signum = byte[0]
                    self._end_unless_heard(byte[0])

    def _end_unless_heard(self, signum: int) -> None:
        deadline = time.monotonic() + _TO_HEAR
        while time.monotonic() < deadline:
            time.sleep(_MOMENT)
            if signal.getsignal(signum) is not self._handlers.get(signum):  # the handler's first act, or all is over
                return
        self._end(signum)
