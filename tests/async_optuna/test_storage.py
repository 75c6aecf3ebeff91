"""Storages: the journal and what can happen to its file, and any other that Optuna knows."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
from app_runs import load
from optuna.storages.journal import JournalFileSymlinkLock

from async_optuna.errors import SearchError
from async_optuna.storage import JOURNAL, _JournalLock, open_journal, open_storage


def study_in(storage: optuna.storages.BaseStorage) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with three finished trials."""
    study = study_in(open_storage(None, tmp_path))
    for value in range(3):
        study.tell(study.ask(), float(value))
    return tmp_path / JOURNAL


def test_optuna_alone_can_read_the_journal(journal: Path) -> None:
    assert load(journal.parent, "s").best_value == 0


def test_a_relative_path_is_safe_in_another_folder(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_journal(Path(JOURNAL))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    study_in(storage).ask()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert len(load(tmp_path, "s").trials) == 4


@pytest.mark.parametrize("tail", [b'{"op_code":4,"worker', b"\0" * 5000, b'{"op_code": 0}'])
def test_an_unfinished_last_line_is_cut_off_and_kept(tail: bytes, journal: Path) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole + tail)
    study = study_in(open_storage(None, journal.parent))
    assert len(study.trials) == 3
    study.ask()
    assert journal.read_bytes().startswith(whole + b'{"op_code":')
    assert [copy.read_bytes() for copy in journal.parent.glob(f"{JOURNAL}.torn-*")] == [tail]
    assert len(load(journal.parent, "s").trials) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="this system limits no file sizes")
def test_a_full_disk_leaves_no_half_line(journal: Path) -> None:
    import resource

    study = study_in(open_storage(None, journal.parent))
    whole = journal.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, before[1]))  # 20 bytes are written, the rest refused
    try:
        with pytest.raises(OSError, match="too large"):
            study.ask()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert journal.read_bytes() == whole
    study.tell(study.ask(), 3.0)
    assert [trial.value for trial in load(journal.parent, "s").trials] == [0, 1, 2, 3]


def test_what_another_process_left_unfinished_is_not_written_on(journal: Path) -> None:
    study = study_in(open_storage(None, journal.parent))
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    study.tell(study.ask(), 3.0)
    assert [trial.value for trial in load(journal.parent, "s").trials] == [0, 1, 2, 3]
    assert [copy.read_bytes() for copy in journal.parent.glob(f"{JOURNAL}.torn-*")] == [b'{"op_code":4,"worker']


def test_a_whole_journal_is_left_as_it_is(journal: Path) -> None:
    whole = journal.read_bytes()
    open_storage(None, journal.parent)
    assert journal.read_bytes() == whole
    assert not list(journal.parent.glob("*.torn-*"))


@pytest.mark.parametrize("line", [b"gar\xffbage\n", b"{}\n", b"[]\n", b'{"op_code":4,"wor{"op_code":4}\n'])
def test_damage_before_the_end_is_named_and_not_made_worse(line: bytes, journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:4], line, *lines[5:]])
    journal.write_bytes(damaged)
    with pytest.raises(
        SearchError, match=f"{JOURNAL} is damaged .*; continue from a copy, or name another study"
    ) as told:
        open_storage(None, journal.parent)
    assert "\n" not in str(told.value)
    assert journal.read_bytes() == damaged


WRITE = """
import sys
from pathlib import Path
import optuna
from async_optuna.storage import open_journal
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.load_study(study_name="s", storage=open_journal(Path(sys.argv[1])))
print("open", flush=True)
while True:
    study.tell(study.ask(), 0.0)
"""


def test_a_killed_writer_keeps_nobody_waiting(journal: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITE, str(journal)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        study = study_in(open_journal(journal))
        before = len(study.trials)
        while len(study.trials) < before + 20:
            pass
        writer.kill()
    study = study_in(open_journal(journal))
    trials = study.trials
    study.tell(study.ask(), 0.0)
    assert [trial.number for trial in study.trials] == list(range(len(trials) + 1))
    for line in journal.read_text(encoding="utf-8").splitlines():
        json.loads(line)


def test_without_the_kernels_lock_no_privilege_is_needed(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows lets only administrators make symbolic links."""

    def refused(*_: object) -> None:
        raise OSError(22, "A required privilege is not held by the client")

    monkeypatch.setattr("async_optuna.storage.AVAILABLE", False)
    monkeypatch.setattr(os, "symlink", refused)
    study = study_in(open_journal(journal))
    study.tell(study.ask(), 3.0)
    assert len(load(journal.parent, "s").trials) == 4
    assert not journal.with_name(f"{JOURNAL}.lock").exists()


def test_locks_of_older_and_newer_versions_keep_each_other_out(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_optuna.storage.AVAILABLE", False)
    older, newer = JournalFileSymlinkLock(str(journal)), _JournalLock(journal)
    for held, wanted in ((older, newer), (newer, older)):
        held.acquire()
        waiting = threading.Thread(target=wanted.acquire)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        held.release()
        waiting.join()
        wanted.release()


def test_urls_classes_and_paths(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    for config in (url, {"_target_": "optuna.storages.RDBStorage", "url": url}, str(tmp_path / "a.journal")):
        study = study_in(open_storage(config, tmp_path))
        study.ask()
    assert (tmp_path / "a.journal").is_file()
    assert len(optuna.load_study(study_name="s", storage=url).trials) == 2


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("foo://x", "cannot be opened"),
        ("sqlite:////nowhere/at/all.db", "unable to open database file.*expected a URL such as"),
        ({"_target_": "optuna.storages.RDBStorag", "url": "sqlite://"}, "cannot be built"),
        ({"_target_": "optuna.storages.RDBStorage", "ulr": "sqlite://"}, "cannot be built"),
        (
            {"_target_": "optuna.storages.RDBStorage", "url": "sqlite:////nowhere/a.db"},
            "cannot be built.*unable to open",
        ),
        ({"_target_": "collections.Counter"}, "expected an Optuna storage, got collections.Counter"),
        ({"url": "sqlite://"}, "cannot be built"),
    ],
)
def test_storages_that_cannot_be(config: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=expected) as told:
        open_storage(config, tmp_path)
    assert "\n" not in str(told.value)
    assert "hydra.sweeper.storage" in str(told.value)


def test_a_database_that_nobody_has_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(url: str) -> None:
        raise OSError(
            '(psycopg.OperationalError) FATAL:  database "nosuch" does not exist\n'
            "(Background on this error at: https://sqlalche.me/e/21/e3q8)"
        )

    monkeypatch.setattr("optuna.storages.get_storage", refused)
    with pytest.raises(SearchError) as told:
        open_storage("sqlite:///nosuch", tmp_path)
    assert str(told.value).endswith(
        'database "nosuch" does not exist); make the database first, with createdb or CREATE DATABASE'
    )


def test_a_database_that_restarts_or_is_just_being_made_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = ["relation studies already exists", "the database system is starting up", "database is locked"]
    opened, pauses = optuna.storages.get_storage, []

    def open_at_last(url: str) -> optuna.storages.BaseStorage:
        if refusals:
            raise RuntimeError(refusals.pop(0))
        return opened(url)

    monkeypatch.setattr(optuna.storages, "get_storage", open_at_last)
    monkeypatch.setattr("time.sleep", pauses.append)
    study_in(open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path))
    assert len(pauses) == 3
    refusals += ["the database system is shutting down"] * 9
    with pytest.raises(SearchError, match="shutting down"):
        open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SearchError, match="cannot use .*: Not a directory; hydra.sweep.dir= names another folder"):
        open_storage(None, tmp_path / "file")
