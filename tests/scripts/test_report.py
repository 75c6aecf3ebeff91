"""`python scripts/report.py`: a report of a run or a study, or one line that says what is wrong."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import optuna  # only: sweep
import pytest

import fork_server
from conftest import PROJECT, Finished


@pytest.fixture
def report(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run `python scripts/report.py <arguments>`."""
    return partial(command, "scripts/report.py")


# only: sweep
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
    command = [sys.executable, "-W", "error", str(PROJECT / "scripts/report.py"), str(folder), "--top", "2"]
    done = fork_server.run(command, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Study mine (minimize value 0): 3 complete\n")
    assert "2 of 3 trials" in done.stdout
    assert (folder / "figures/slices.png").is_file()


def test_tables_only(folder: Path, report: Callable[..., Finished]) -> None:
    assert report(str(folder), "--no-figures").status == 0
    assert (folder / "leaderboard.csv").is_file()
    assert not (folder / "figures").exists()


# end only


# only: workbench
@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder by hand, in outputs/runs of the current folder."""
    monkeypatch.chdir(tmp_path)
    run = Path("outputs/runs/mine")
    for name, content in {
        ".hydra/config.yaml": "{}",
        ".hydra/overrides.yaml": "[]",
        "evaluation/test/confusion_counts.csv": "true \\ predicted,cat,dog\ncat,7,1\ndog,2,10\n",
    }.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(content)
    return run


@pytest.mark.parametrize("named", ["outputs/runs/mine", "latest"])
def test_a_run(named: str, run: Path, report: Callable[..., Finished]) -> None:
    done = report(named, "--top", "1")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("outputs/runs/mine, test: 85.00% of 20 images right\n")
    assert "dog taken for cat: 2 times, 16.67% of all 12 images of dog\n  1 of 2 pairs" in done.out
    assert (run / "evaluation/test/confusion_matrix.png").is_file()
    assert (run / "evaluation/test/report.md").is_file()


def test_a_run_without_a_test_or_figures(run: Path, report: Callable[..., Finished]) -> None:
    assert report(str(run), "--no-figures").status == 0
    assert not (run / "evaluation/test/confusion_matrix.png").exists()
    (run / "evaluation/test/confusion_counts.csv").unlink()
    done = report(str(run))
    assert (done.status, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: no evaluation/<split>/confusion_counts.csv in outputs/runs/mine: it was stopped")


# end only


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "error: no folder nowhere"),
        (["."], "error: . is neither a run folder (it has no .hydra/config.yaml) nor a sweep folder"),
        (["latest"], "error: latest: there are no runs in"),
        ([], "the following arguments are required: folder"),
        (["x", "--top", "0"], "expected 1 or more, got 0"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], words: str, report: Callable[..., Finished]) -> None:
    done = report(*arguments)
    assert done.status != 0
    assert words in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    assert done.out == ""
