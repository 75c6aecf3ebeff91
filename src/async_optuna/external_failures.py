"""Tells failures from outside a trial, such as missing data, from the point's own, and waits until they pass."""

import os
import time
from collections.abc import Hashable, Iterator
from pathlib import Path

from async_optuna.errors import SearchError
from async_optuna.outage import is_passing

# torch.OutOfMemoryError, also known as torch.cuda.OutOfMemoryError, and Python's own.
_OUT_OF_MEMORY = {"OutOfMemoryError", "MemoryError"}

_LONGEST_PAUSE = 60.0
_MOST_IN_A_ROW = 10


def is_external(error: BaseException, folder: Path) -> bool:
    """Whether a trial's failure may say nothing about its point. These do, or what they were raised from:

    - memory ran out: torch's OutOfMemoryError and MemoryError;
    - the disk or a server is full or does not answer, see `outage.is_passing`;
    - a file is not there that does not belong to the trial: a FileNotFoundError outside its folder;
    - the app says so: the exception has the attribute `external = True`.
    """
    if is_passing(error):
        return True
    for one in _with_causes(error):
        if getattr(one, "external", False) is True or _OUT_OF_MEMORY & {cls.__name__ for cls in type(one).__mro__}:
            return True
        if isinstance(one, FileNotFoundError) and one.filename is not None:
            place = Path(os.fsdecode(one.filename)).absolute()
            if not place.is_relative_to(folder.absolute()):
                return True
    return False


class ExternalFailures:
    """Those since a trial last had a result. The more there are in a row, the longer the next trial waits."""

    def __init__(self) -> None:
        self._points: list[Hashable] = []
        self._last_reason = ""
        self._until = 0.0

    def add(self, point: Hashable, reason: str) -> bool:
        """Note that a trial of this point failed; return whether it may be the point's fault.

        It is not if other points failed too since a trial last had a result.
        """
        self._points.append(point)
        self._last_reason = reason
        self._until = time.monotonic() + min(2.0 ** len(self._points), _LONGEST_PAUSE)
        return len(set(self._points)) == 1

    def forget(self) -> None:
        """A trial had a result: what was wrong is over."""
        self._points.clear()
        self._until = 0.0

    @property
    def pause(self) -> str:
        """Why no trial is started at present, "" if one may be."""
        seconds = self._until - time.monotonic()
        return f"next trial in {seconds:.0f} s" if seconds > 0 else ""

    @property
    def why_no_more(self) -> str:
        """Why no trial is to be started at all, "" if one may be."""
        if len(self._points) < _MOST_IN_A_ROW:
            return ""
        return (
            f"{len(self._points)} trials in a row failed for a reason that seems not to be their own: "
            f"{self._last_reason}; none of them counts, and the same command runs them again once that is mended"
        )

    def check(self) -> None:
        if self.why_no_more:
            raise SearchError(self.why_no_more)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from; one that came up while another was handled may have its own reason."""
    while error is not None:
        yield error
        error = error.__cause__
