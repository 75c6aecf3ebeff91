"""Locks on run folders, by which others see that a run is alive. The system releases them when their holder dies."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

AVAILABLE = fcntl is not None
_MOMENT = 0.1  # seconds


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Try to lock a folder for other processes, without waiting; yields False if somebody else holds the lock.

    Where there are no such locks (on Windows, and on network file systems that lock no folders) everybody gets True.
    The package filelock locks files of its own and no folders.
    """
    descriptor, is_ours = None, True
    try:
        if AVAILABLE:
            with suppress(OSError):
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    is_ours = False
        yield is_ours
    finally:
        if descriptor is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # processes forked meanwhile have the descriptor too
            os.close(descriptor)


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Lock a folder for other processes, and wait as long as one of them holds the lock."""
    while True:
        with locked(folder) as is_ours:
            if is_ours:
                yield
                return
        time.sleep(_MOMENT)


def is_held(folder: Path) -> bool:
    """Return whether a living process holds the lock on a folder."""
    with locked(folder) as is_ours:
        return not is_ours
