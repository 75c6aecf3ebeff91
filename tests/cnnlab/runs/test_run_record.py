"""Records a reader can rely on, wherever the project lies."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from cnnlab.runs import end_table, run_record
from cnnlab.speed import hardware


def test_git_state_is_the_projects_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.setattr(run_record, "__file__", str(project / "src/cnnlab/runs/run_record.py"))

    def state() -> Any:
        return run_record.environment(hardware.choose("cpu", "32-true", 1), {"dataset": "", "checksums": {}})["git"]

    def git(*arguments: str, cwd: Path = project) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)

    assert state() is None
    git("init", cwd=tmp_path)
    assert state() is None, "a repository around the project is not the project's"
    git("init")
    (project / "file").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    first = state()
    assert (first["dirty"], len(first["commit"])) == (False, 40)
    (project / "file").write_text("2")
    assert state() == {"commit": first["commit"], "dirty": True}


@pytest.mark.parametrize(("value", "expected"), [(0.98839998, 0.9884), (float("nan"), None), (float("inf"), None)])
def test_numbers_that_json_can_hold(value: float, expected: float | None) -> None:
    assert run_record.rounded(value) == expected


def test_commands_to_copy_survive_odd_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["my train.py"])
    assert run_record.resume_command(tmp_path / "a b").endswith("'my train.py' 'resume=a b'")
    assert end_table.tensorboard_command(tmp_path / "a b").endswith("--logdir 'a b'")
