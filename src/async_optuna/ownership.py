"""Records which search process runs a trial, and finds out whether that process is still alive."""

import contextlib
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from optuna.study import Study

from async_optuna.files import FileLock, is_held

_FOLDER = ".controllers"
_HOST = re.sub(r"[^\w.-]", "", socket.gethostname())[:60]  # in the name of a file

# A controller on another file system shows that it lives by a mark in the study, which it moves this often within the
# time after which the others take it for dead.
_BEATS = 3


class Owner:
    """A living controller: it holds a lock of its own name as long as it lives, which ends with it in every case.

    Where the study is shared it also moves its mark there, in a thread: whatever else the process waits for, a trial of
    its own or a sampler or a stop, it is alive. Who cannot move his own mark judges nobody: the others may be as far
    from the study as he is.

    Args:
        sweep_dir: where controllers that share this folder see each other's locks.
        study: where controllers on other machines see each other's marks.
        is_shared: whether any could join from another machine.
        dead_after_seconds: how long another one's mark may stand still.

    To be made and used under the study's lock only, so that nobody sees a lock that is not yet taken. `look` comes
    before `lives`: marks are read once for all the trials that are then asked for.
    """

    def __init__(self, sweep_dir: Path, study: Study, is_shared: bool, dead_after_seconds: float = 90.0) -> None:
        self.name = f"{_HOST}-{uuid.uuid4().hex[:12]}"  # reports tell by it where a trial's folder is
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
        self._dead_after = dead_after_seconds
        self._last_beat = 0.0
        self._marks: Mapping[str, object] = {}
        self._last_seen: dict[str, tuple[object, float]] = {}
        self._has_left = threading.Event()
        if is_shared:
            self.beat()
            threading.Thread(target=self._beat_on, name="heartbeat", daemon=True).start()

    def beat(self) -> None:
        self._study.set_user_attr(f"alive:{self.name}", time.time())
        self._last_beat = time.monotonic()

    def look(self) -> None:
        """Read the marks of all controllers, if there may be some on other machines."""
        if self._is_shared:
            if time.monotonic() - self._last_beat > 2 * self._dead_after / _BEATS:
                self.forget_the_silence()
            self._marks = self._study.user_attrs

    def lives(self, name: str | None, number: int) -> bool:
        """Whether the controller of that name lives.

        Args:
            name: None stands for one that has had no time to write its name.
            number: the trial it is asked for.
        """
        if name == self.name:
            return True
        if name is not None and self._can_be_seen_locked(name):
            return is_held(self._folder / name)
        if not self._is_shared:
            return False
        # On another machine: dead once its mark has not moved for a while, by this machine's clock alone.
        mark = self._marks.get(f"alive:{name}") if name else None
        key = name or f"the owner of trial {number}"
        before, since = self._last_seen.get(key, (object(), 0.0))
        now = time.monotonic()
        if mark != before:
            self._last_seen[key] = (mark, now)
            return True
        return now - since < self._dead_after

    def _can_be_seen_locked(self, name: str) -> bool:
        """Whether its lock tells that it lives: not every file system that several machines share shares its locks."""
        is_here = not self._is_shared or name.rpartition("-")[0] == _HOST
        return is_here and (self._folder / name).exists()

    def forget_the_silence(self) -> None:
        """Begin to wait anew: while the study could not be reached, nobody could move a mark."""
        self._last_seen.clear()

    def leave(self) -> None:
        self._has_left.set()
        with contextlib.suppress(OSError):
            self._lock.release()
            os.unlink(self._folder / self.name)
            self._folder.rmdir()

    def _beat_on(self) -> None:
        while not self._has_left.wait(self._dead_after / _BEATS):
            with contextlib.suppress(Exception):  # the search's own calls say that the study cannot be reached
                self.beat()
