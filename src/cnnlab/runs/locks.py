"""Locks that the operating system releases when their holder dies, however it dies."""

import os
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

AVAILABLE = fcntl is not None


class FileLock:
    """An exclusive lock between processes on a file or folder. Where the system has none (Windows) it never waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock; with wait=False return False at once if somebody has it.

        Raises:
            OSError: if the file cannot be opened.
        """
        if not AVAILABLE and self.path.is_dir():
            return True  # Windows opens no folders
        flags = os.O_RDONLY if self.path.is_dir() else os.O_RDWR | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o666)
        if AVAILABLE:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                return False
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            if AVAILABLE:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # processes forked meanwhile have the descriptor too
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "FileLock":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock on `path`; nothing can be held where nothing is."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        free = lock.acquire(wait=False)
    except OSError:  # a file system without locks, or one that locks no folders (NFS): nothing can be held there
        return False
    lock.release()
    return not free
