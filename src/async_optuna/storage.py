"""Opens the storage of a study: a journal file in the sweep folder, or any Optuna storage."""

import io
import json
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from async_optuna.database_url import with_driver
from async_optuna.errors import SearchError, on_one_line
from async_optuna.files import AVAILABLE, FileLock
from async_optuna.passwords import message_without_passwords, without_passwords
from async_optuna.terminal import tell_what_takes_long

JOURNAL = "study.journal"
_BEGINNING = b'{"op_code":'

# What databases say while they restart or are locked, or if two searches make their tables at the same moment.
_OVER_SOON = (
    *("already exists", "UNIQUE constraint", "Duplicate entry", "deadlock", "is locked", "refused"),
    *("starting up", "shutting down"),
    *("closed the connection", "terminating connection"),
)
_PAUSES = (0.5, 1.0, 2.0, 4.0)


def open_storage(storage: str | Mapping[str, Any] | None, sweep_dir: Path) -> BaseStorage:
    """Open a storage: None for the journal in the sweep folder, an Optuna URL, or a class with its arguments.

    Raises:
        SearchError: if it cannot be opened, with the reason.
    """
    logging.getLogger("optuna.storages").setLevel(logging.ERROR)  # it warns of an outage, which is told in one line
    if storage is None:
        return open_journal(sweep_dir / JOURNAL)
    if isinstance(storage, Mapping):
        return _construct(storage)
    if not isinstance(storage, str):
        raise SearchError(f"hydra.sweeper.storage: expected a URL, a path or a class, got {type(storage).__name__}")
    if "://" not in storage:
        return open_journal(Path(storage).absolute())
    told = f"hydra.sweeper.storage={without_passwords(storage)}"
    try:
        url = with_driver(storage)
        opened: BaseStorage = _patiently(lambda: optuna.storages.get_storage(url))
        return opened
    except (ImportError, SearchError) as error:
        raise SearchError(f"{told}: {_reason(error)}") from None
    except Exception as error:  # each database driver has its own
        reason = _reason(error)
        advice = "expected a URL such as sqlite:///study.db or postgresql://user@host/name"
        if re.search(r'database ".*" does not exist|Unknown database', reason):
            advice = "make the database first, with createdb or CREATE DATABASE"
        raise SearchError(f"{told} cannot be opened ({reason}); {advice}") from None


def open_journal(path: Path) -> JournalStorage:
    """Open or create a journal, and cut off a last line that a power cut or a full disk left unfinished.

    Raises:
        SearchError: if the file cannot be written, or is damaged before its end.
    """
    path = path.absolute()  # Optuna's lock spins for ever on a relative path in a sub-folder
    try:
        lock = _JournalLock(path)
        with lock:
            if path.is_file():
                with path.open("r+b", buffering=0) as file:
                    if not _BEGINNING.startswith(file.read(len(_BEGINNING))):
                        raise SearchError(
                            f"{path} is no journal of a study, or its beginning is damaged; it is left as "
                            "it is: name another file, or another hydra.sweep.dir"
                        )
                    _cut_torn_tail(file, path)
        return JournalStorage(_JournalFile(path, lock))
    except OSError as error:
        raise SearchError(
            f"cannot use {error.filename or path}: {error.strerror}; hydra.sweep.dir= names another folder"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise SearchError(
            f"{path} is damaged ({on_one_line(error)[:300]}); continue from a copy, or name another study"
        ) from error


class _JournalFile(JournalFileBackend):
    """Writes whole lines or nothing, and waits for the disk only where a trial begins or ends.

    A full disk takes the first half of a line: what was written of it is cut off again, and so is what others have left
    of theirs, for the next line would be glued to it. Optuna writes a line for every parameter, attribute and report,
    and would wait for each; here they get to the disk with the next that is waited for. A power cut may take some of
    those of a trial that it interrupts anyway; a killed process takes none.
    """

    def __init__(self, path: Path, lock: "_JournalLock") -> None:
        super().__init__(str(path), lock_obj=lock)
        self._path = path
        self._kernel_lock = lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self._kernel_lock, self._path.open("r+b", buffering=0) as file:  # a buffer would be written once more
            _cut_torn_tail(file, self._path)
            size = file.seek(0, os.SEEK_END)
            try:
                _write_whole(file, lines.encode())
                if any("trial_id" not in log or "state" in log for log in logs):
                    os.fsync(file.fileno())
            except BaseException:
                file.truncate(size)
                raise


class _JournalLock(JournalFileOpenLock):
    """The kernel's lock instead of Optuna's lock file, which a killed process leaves behind for 30 seconds.

    Where the system has no such lock (Windows) it is Optuna's file after all: not its symbolic link, which an ordinary
    user of Windows may not make. Both have the same name, and each keeps out the other.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._kernel_lock = FileLock(path.with_name(f".{path.name}.lock")) if AVAILABLE else None

    def acquire(self) -> bool:
        return self._kernel_lock.acquire() if self._kernel_lock else super().acquire()

    def release(self) -> None:
        if self._kernel_lock:
            self._kernel_lock.release()
        else:
            super().release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _write_whole(file: io.FileIO, data: bytes) -> None:
    """Write all of it; a disk that is filling up takes a part and refuses only the next one."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _cut_torn_tail(file: io.FileIO, path: Path) -> None:
    """Cut off what stands behind the last whole line, and keep a copy of it beside the file."""
    size = file.seek(0, os.SEEK_END)
    keep = size
    while keep > 0:
        start = max(0, keep - (1 if keep == size else 4096))  # a whole line ends in its last byte
        file.seek(start)
        newline = file.read(keep - start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        keep = start
    if keep == size:
        return
    file.seek(keep)
    copy = path.with_name(f"{path.name}.torn-{int(time.time())}")
    try:
        copy.write_bytes(file.readall())
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    file.truncate(keep)


def _patiently(opened: Callable[[], BaseStorage]) -> BaseStorage:
    """Open a database, after some seconds if it restarts or somebody else makes its tables at this moment."""
    for pause in _PAUSES:
        try:
            return opened()
        except Exception as error:
            reason = on_one_line(error)
            if not any(words in reason for words in _OVER_SOON):
                raise
            tell_what_takes_long("waiting for the database")
            time.sleep(pause)
    return opened()


def _construct(config: Mapping[str, Any]) -> BaseStorage:
    path = str(config.get("_target_"))
    module_name, _, name = path.rpartition(".")
    try:
        cls = getattr(import_module(module_name), name)
        arguments = {str(key): value for key, value in config.items() if key != "_target_"}
        if isinstance(arguments.get("url"), str):
            arguments["url"] = with_driver(arguments["url"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the proxy, which was asked for
            storage = _patiently(lambda: cls(**arguments))
    except Exception as error:  # each database driver has its own
        raise SearchError(f"hydra.sweeper.storage: {path} cannot be built ({_reason(error)})") from None
    if not isinstance(storage, BaseStorage):
        raise SearchError(f"hydra.sweeper.storage: expected an Optuna storage, got {path}")
    return storage


def _reason(error: Exception) -> str:
    line = re.sub(r"\s*\(Background on this error at: \S+\)", "", on_one_line(error))  # SQLAlchemy's, of no use here
    return message_without_passwords(line)[:300]
