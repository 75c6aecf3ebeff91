"""Locks on run folders: held by who lives, free the moment they die."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cnnlab.runs import locks
from cnnlab.runs.locks import AVAILABLE, is_held, locked
from cnnlab.runs.run_folder import in_use

needs_locks = pytest.mark.skipif(not AVAILABLE, reason="this system has no such locks")


@contextmanager
def running(code: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs the code inside the lock, and then waits."""
    program = f"""
import os, subprocess, sys, time
from pathlib import Path
from cnnlab.runs.locks import locked
{code}
print("ready", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


@needs_locks
@pytest.mark.parametrize("child", ["", "subprocess.Popen(['sleep', '5'], close_fds=False, stdout=subprocess.DEVNULL)"])
def test_only_one_holds_it_and_a_killed_process_lets_go(child: str, tmp_path: Path) -> None:
    """Programs that a run starts do not inherit the lock."""
    assert not is_held(tmp_path)
    with running(f"lock = locked(Path(sys.argv[1])); assert lock.__enter__()\n{child}", tmp_path) as holder:
        assert is_held(tmp_path)
        with locked(tmp_path) as is_ours:
            assert not is_ours
        holder.kill()
        holder.wait()
        assert not is_held(tmp_path)
        with locked(tmp_path) as is_ours:
            assert is_ours
            assert is_held(tmp_path)
    assert not is_held(tmp_path)


@needs_locks
def test_a_released_lock_is_free_while_a_child_still_has_the_file(tmp_path: Path) -> None:
    code = """
with locked(Path(sys.argv[1])):
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
"""
    with running(code, tmp_path):
        assert not is_held(tmp_path)


def test_asking_leaves_nothing_behind(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_without_locks_nothing_is_held_and_a_run_still_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS locks no folders, some clusters' file systems lock nothing, and Windows has no flock."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(9, "Bad file descriptor")

    for is_available in (AVAILABLE, False):
        monkeypatch.setattr(locks, "AVAILABLE", is_available)
        if is_available:
            monkeypatch.setattr(locks.fcntl, "flock", refuse)
        assert not is_held(tmp_path)
        with in_use(tmp_path, alone=True):
            pass
