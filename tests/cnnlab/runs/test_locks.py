"""Locks: held by who lives, free the moment they die."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab.runs.locks import AVAILABLE, FileLock, is_held
from cnnlab.runs.run_folder import in_use

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="this system has no such locks")

HOLD = """
import sys
from pathlib import Path
from cnnlab.runs.locks import FileLock
FileLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("is_folder", [False, True])
def test_only_one_holds_it_and_a_killed_process_lets_go(is_folder: bool, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    if is_folder:
        path.mkdir()
    assert not is_held(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(path)
        assert not FileLock(path).acquire(wait=False)
        holder.kill()
        holder.wait()
        assert not is_held(path)
        with FileLock(path):
            assert is_held(path)
    assert not is_held(path)


def test_asking_leaves_nothing_behind(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_locks_are_not_inherited_by_programs_that_a_trial_starts(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock") as lock:
        assert lock._descriptor is not None
        assert not os.get_inheritable(lock._descriptor)


@pytest.mark.skipif(not AVAILABLE, reason="no locks on this system")
def test_a_released_lock_is_free_while_a_child_still_has_the_file(tmp_path: Path) -> None:
    lock = FileLock(tmp_path)
    lock.acquire()
    assert lock._descriptor is not None
    idle = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(idle, pass_fds=[lock._descriptor]) as child:
        assert is_held(tmp_path)
        lock.release()
        assert not is_held(tmp_path)
        child.kill()


def test_without_locks_nothing_is_held_and_a_run_still_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS locks no folders, and some clusters' file systems lock nothing."""

    def refuse(self: FileLock, wait: bool = True) -> bool:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert not is_held(tmp_path)
    with in_use(tmp_path, alone=True):
        pass
