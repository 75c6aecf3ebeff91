"""Files that several processes share: replaced as a whole, and locked while somebody works on them.

The locks are the operating system's: it releases them when their holder dies, however it dies. They also lock folders,
which the `filelock` package cannot: a trial's folder is locked by the trial itself.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

AVAILABLE = fcntl is not None


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Replace `path` by `content` such that a kill or power cut leaves either the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def rights_of(folder: Path) -> Iterator[None]:
    """Give the group all rights to new files and folders, if the folder that they are for is shared within a group.

    It is where the group may write into it, or where it is not there yet, into the folder that it will be made in.
    The umask of one user would otherwise hide locks, trials and their results from the others.
    """
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    mode = nearest.stat().st_mode
    own = os.umask(0o077)
    is_shared = mode & stat.S_IWGRP and not mode & stat.S_ISVTX  # not /tmp, where each user has his own files
    os.umask(own & ~stat.S_IRWXG if is_shared else own)
    try:
        yield
    finally:
        os.umask(own)


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
        try:
            descriptor = os.open(self.path, flags, 0o666)
        except PermissionError:  # a file of another user, who lets others only read
            descriptor = os.open(self.path, os.O_RDONLY)
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
    """Whether a living process holds the lock on `path`; nothing can be held where nothing is.

    What another user keeps to himself counts as held: who may not look does not know.
    """
    lock = FileLock(path)
    try:
        if not path.exists():
            return False
        free = lock.acquire(wait=False)
    except PermissionError:
        return True
    except OSError:  # a file system without locks, or one that locks no folders (NFS): nothing can be held there
        return False
    lock.release()
    return not free
