"""Files and locks that the processes of one user, or the users of one group, share."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from async_optuna.files import AVAILABLE, FileLock, is_held, rights_of, write_atomically
from async_optuna.outcome import FILE, Outcome

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system has no groups and no umask")


@pytest.fixture(autouse=True)
def _careful() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("folder_mode", "expected"), [(0o2770, 0o660), (0o775, 0o660), (0o755, 0o600), (0o1777, 0o600)]
)
def test_what_is_written_in_a_groups_folder_is_the_groups(folder_mode: int, expected: int, tmp_path: Path) -> None:
    tmp_path.chmod(folder_mode)
    for folder in (tmp_path, tmp_path / "made" / "later"):
        with rights_of(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                write_atomically(folder / "file", b"")
        assert {mode(folder / name) for name in (".lock", "file")} == {expected}
    assert bool(mode(tmp_path / "made") & stat.S_IWGRP) is (expected == 0o660)
    assert os.umask(0o077) == 0o077


def refuse(*_: object, **__: object) -> int:
    raise PermissionError(13, "Permission denied")


@pytest.mark.skipif(not AVAILABLE, reason="this system has no such locks")
def test_what_another_user_hides_counts_as_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock").touch()
    assert not is_held(tmp_path / "lock")
    monkeypatch.setattr(os, "open", refuse)
    assert is_held(tmp_path / "lock")
    assert not is_held(tmp_path / "nothing")


def test_a_hidden_outcome_is_not_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Outcome.read(tmp_path) is None
    (tmp_path / FILE).write_text("half", encoding="utf-8")
    assert Outcome.read(tmp_path) is None
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(PermissionError):
        Outcome.read(tmp_path)
