"""What a search does while its study cannot be read or written: it waits, tries again less and less often, gives up."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from async_optuna.errors import SearchError, first_line

# Of a disk that is full for a moment, and of a file server that does not answer.
_PASSING_ERRNOS = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EFBIG", "EIO", "ESTALE", "ENOLCK", "EAGAIN", "EBUSY", "EINTR", "ETXTBSY"),
        *("ETIMEDOUT", "ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "EHOSTUNREACH", "ENETUNREACH"),
    )
    if hasattr(errno, name)
}

# What SQLAlchemy, database drivers, redis and gRPC call it; each has classes of its own, and none must be installed.
_PASSING_CLASSES = {
    *("OperationalError", "InterfaceError", "InternalError", "PendingRollbackError", "DisconnectionError"),
    *("TimeoutError", "ConnectionError", "RpcError"),
}

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 20.0


def is_passing(error: BaseException | None) -> bool:
    """Whether an error may be over soon: a database that restarts or is locked, a disk that is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _PASSING_ERRNOS:
            return True
        if any(cls.__name__ in _PASSING_CLASSES for cls in type(error).__mro__):
            return True
        error = error.__cause__ or error.__context__
    return False


def not_reached(error: BaseException) -> str:
    """The line for an outage before the first trial, "" for any other error."""
    if not is_passing(error):
        return ""
    return f"the study cannot be reached ({_reason(error)}); the same command goes on once that is over"


def _reason(error: BaseException) -> str:
    error = error.__cause__ or error
    details = getattr(error, "details", None)  # gRPC's errors say there what it is about
    return str(details()) if callable(details) else first_line(error)


class Outage:
    """The time in which the storage does not answer, if it does not.

    Args:
        patience_seconds: how long an outage may last.
        say: tells the user that it has begun, and that it is over.
    """

    def __init__(self, patience_seconds: float, say: Callable[[str], None]) -> None:
        self.say = say
        self._patience = patience_seconds
        self._since: float | None = None
        self._next = 0.0
        self._pause = _FIRST_PAUSE
        self._has_given_up = False

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def is_time_to_try(self) -> bool:
        return not self._has_given_up and (self._since is None or time.monotonic() >= self._next)

    @contextmanager
    def endured(self) -> Iterator[None]:
        """Go on behind this block where an error that may pass has broken it off.

        Raises:
            SearchError: if the outage has lasted too long.
        """
        try:
            yield
        except Exception as error:
            if not is_passing(error):
                raise
            self._goes_on(error)
        else:
            self._is_over()

    def _goes_on(self, error: Exception) -> None:
        now = time.monotonic()
        reason = _reason(error)
        if self._since is None:
            self._since = now
            self.say(
                f"the study cannot be reached ({reason}); running trials go on, and it is tried again for up to "
                f"{self._patience:g} s"
            )
        elif now - self._since > self._patience:
            self._has_given_up = True
            raise SearchError(
                f"the study could not be reached for {now - self._since:.0f} s ({reason}); the same command goes on "
                "with it, and hydra.sweeper.storage_patience_seconds waits longer"
            ) from error
        self._next = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _is_over(self) -> None:
        if self._since is not None:
            self.say(f"the study is there again after {time.monotonic() - self._since:.0f} s")
        self._since = None
        self._pause = _FIRST_PAUSE
