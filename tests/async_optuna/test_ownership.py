"""The owner of a search lives as long as its process, on this machine and on others."""

import socket
import time
from pathlib import Path

import optuna
import pytest

from async_optuna.files import AVAILABLE
from async_optuna.ownership import Owner

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="this system has no such locks")


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


def lives(owner: Owner, other: Owner) -> bool:
    owner.look()
    return owner.lives(other.name, 0)


def killed(owner: Owner) -> str:
    """End an owner as a kill would: its lock is gone, its file is not."""
    owner._lock.release()
    return owner.name


def test_an_owner_lives_until_its_lock_is_gone(tmp_path: Path, study: optuna.Study) -> None:
    one, other = (Owner(tmp_path, study, is_shared=False) for _ in range(2))
    assert one.lives(one.name, 0)
    assert one.lives(other.name, 0)
    assert not one.lives("nobody", 0)
    assert not one.lives(None, 0)
    assert not one.lives(killed(other), 0)


def test_who_leaves_and_who_was_killed_leave_nothing(tmp_path: Path, study: optuna.Study) -> None:
    killed(Owner(tmp_path, study, is_shared=False))
    owner = Owner(tmp_path, study, is_shared=False)
    assert [entry.name for entry in (tmp_path / ".controllers").iterdir()] == [owner.name]
    owner.leave()
    assert list(tmp_path.iterdir()) == []


def test_an_owner_on_another_machine_lives_while_its_mark_moves(
    tmp_path: Path, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    here = Owner(tmp_path / "here", study, is_shared=True)
    there = Owner(tmp_path / "there", study, is_shared=True)

    def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds
        here.beat()

    assert lives(here, there)
    pass_time(60)
    there.beat()
    assert lives(here, there)  # its clock starts again
    pass_time(60)
    assert lives(here, there)
    pass_time(29)
    assert lives(here, there)
    pass_time(2)  # 91 s, and more than three beats
    assert not lives(here, there)
    here.forget_the_silence()
    assert lives(here, there)
    pass_time(91)
    assert not lives(here, there)
    now += 61  # nor can this one reach the study: it judges nobody
    assert lives(here, there)
    there.beat()
    pass_time(61)
    assert lives(here, there)
    for owner in (here, there):
        owner.leave()


def test_its_mark_moves_whatever_the_process_does(tmp_path: Path, study: optuna.Study) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    owners = [Owner(tmp_path / name, study, is_shared=True, dead_after_seconds=0.6) for name in ("here", "there")]
    here, there = owners
    until = time.monotonic() + 1.0
    while time.monotonic() < until:  # longer than it takes to be taken for dead, in which nothing is claimed
        assert lives(here, there)
    there.leave()
    until = time.monotonic() + 10
    while lives(here, there):
        assert time.monotonic() < until
    here.leave()


def test_an_owner_that_had_no_time_to_sign_is_given_some_on_another_machine(
    tmp_path: Path, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    owner = Owner(tmp_path, study, is_shared=True)
    assert owner.lives(None, 3)
    now += 60
    assert owner.lives(None, 4)  # each has its own time
    now += 60
    assert not owner.lives(None, 3)
    assert owner.lives(None, 4)
    owner.leave()


def test_the_name_of_an_owner_tells_its_host(tmp_path: Path, study: optuna.Study) -> None:
    owners = [Owner(tmp_path, study, is_shared=False) for _ in range(2)]
    assert {owner.name.rpartition("-")[0] for owner in owners} == {socket.gethostname()}
    assert len({owner.name for owner in owners}) == 2


def test_the_lock_of_another_machine_in_a_shared_folder_says_nothing(
    tmp_path: Path, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lustre and NFS may keep locks to the machine that took them."""
    here = Owner(tmp_path, study, is_shared=True)
    monkeypatch.setattr("async_optuna.ownership._HOST", "elsewhere")
    there = Owner(tmp_path, study, is_shared=True)
    monkeypatch.undo()
    killed(there)
    assert lives(here, there)
    monkeypatch.setattr("async_optuna.ownership._HOST", "elsewhere")
    assert not Owner(tmp_path, study, is_shared=True).lives(there.name, 0)  # on its own machine it does
