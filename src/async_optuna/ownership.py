"""Records which search process runs a trial, and finds out whether that process is still alive."""

import contextlib
import os
import time
import uuid
from pathlib import Path

from optuna.study import Study

from async_optuna.files import FileLock, is_held

_FOLDER = ".controllers"

# A controller on another file system shows that it lives by a mark in the study.
_BEAT_SECONDS = 30.0
_SILENT_SECONDS = 150.0


class Owner:
    """A living controller: it holds a lock of its own name as long as it lives, which ends with it in every case.

    Args:
        sweep_dir: where controllers that share this folder see each other's locks.
        study: where controllers on other machines see each other's marks.
        is_shared: whether any could join from another machine.

    To be made and used under the study's lock only, so that nobody sees a lock that is not yet taken.
    """

    def __init__(self, sweep_dir: Path, study: Study, is_shared: bool) -> None:
        self.name = uuid.uuid4().hex[:12]
        self._folder = sweep_dir / _FOLDER
        self._folder.mkdir(exist_ok=True)
        self._lock = FileLock(self._folder / self.name)
        self._lock.acquire()
        if not is_shared:
            for other in self._folder.iterdir():
                if other.name != self.name and not is_held(other):
                    other.unlink()  # it was killed: no file says the same
        self._study = study
        self._is_shared = is_shared
        self._last_beat = 0.0
        self._last_seen: dict[str, tuple[object, float]] = {}
        self.beat()

    def beat(self) -> None:
        if self._is_shared and time.monotonic() - self._last_beat > _BEAT_SECONDS:
            self._study.set_user_attr(f"alive:{self.name}", time.time())
            self._last_beat = time.monotonic()

    def lives(self, name: str | None) -> bool:
        """Whether the controller of that name lives; None stands for one that had no time to write its name."""
        if name == self.name:
            return True
        if name is not None and (self._folder / name).exists():
            return is_held(self._folder / name)
        if not self._is_shared:
            return False
        # On another machine: dead once its mark has not moved for a while, by this machine's clock alone.
        mark = self._study.user_attrs.get(f"alive:{name}") if name else None
        before, since = self._last_seen.get(name or "", (object(), 0.0))
        now = time.monotonic()
        if mark != before:
            self._last_seen[name or ""] = (mark, now)
            return True
        return now - since < _SILENT_SECONDS

    def leave(self) -> None:
        with contextlib.suppress(OSError):
            self._lock.release()
            os.unlink(self._folder / self.name)
            self._folder.rmdir()
