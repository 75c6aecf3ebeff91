"""`python scripts/report.py`: a report, or one line that says what is wrong."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from conftest import PROJECT


def report(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(PROJECT / "scripts/report.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
    study = optuna.create_study(study_name="mine", storage=optuna.storages.JournalStorage(backend))
    space = {"lr": optuna.distributions.FloatDistribution(1e-3, 1.0, log=True)}
    for lr in (0.01, 0.1, 0.5):
        study.add_trial(optuna.trial.create_trial(params={"lr": lr}, distributions=space, value=lr))
    return folder


def test_a_report_without_warnings(folder: Path, environment: dict[str, str]) -> None:
    done = report(environment, str(folder), "--top", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Study mine (minimize value 0): 3 complete\n")
    assert "2 of 3 trials" in done.stdout
    assert (folder / "figures/slices.png").is_file()


def test_tables_only(folder: Path, environment: dict[str, str]) -> None:
    assert report(environment, str(folder), "--no-figures").returncode == 0
    assert (folder / "leaderboard.csv").is_file()
    assert not (folder / "figures").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "error: no sweep folder nowhere"),
        (["."], "error: no study in ."),
        ([], "the following arguments are required: folder"),
        (["x", "--top", "0"], "expected 1 or more, got 0"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = report(environment, *arguments)
    assert done.returncode != 0
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
