"""The README is true: every command in it runs, and the tree lists the files that are there."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import PROJECT, SMOKE, Finished

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


TRAIN = [line for line in commands() if line.startswith("python train.py")]
SCRIPTS = [line for line in commands() if line.startswith("python scripts/") and "report.py" not in line]
REPORT = "python scripts/report.py outputs/sweeps/tinyvgg"
MAKE = [line for line in commands() if line.startswith("make")]
OTHERS = {REPORT, 'eval "$(python train.py -sc install=bash)"', "tensorboard --logdir outputs/runs"}


def test_every_command_is_tried_below() -> None:
    assert set(commands()) == {*TRAIN, *SCRIPTS, *MAKE, *OTHERS}


@pytest.mark.parametrize("line", TRAIN)
def test_train(line: str, train: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments = shlex.split(line)[2:]
    if arguments and arguments[0] in ("--help", "--cfg"):
        shown = train(*arguments)
        assert shown.status == 0
        assert "model" in shown.out
        return
    if arguments and arguments[0].startswith("resume="):
        folder = train(*SMOKE).folder
        resumed = train(f"resume={folder}")
        assert resumed.status == 0, resumed.err
        return
    if any(argument.startswith("sweep=") for argument in arguments):
        search = train(*arguments, *SMALL_SEARCH)
        assert search.status == 0, search.err
        assert list(tmp_path.glob("outputs/sweeps/*/leaderboard.md"))
        return
    run = train(*arguments, *smoke_for(arguments))
    if "trainer=gpu" in arguments and not torch.cuda.is_available():
        assert run.status == 1
        assert "trainer=gpu cannot be used" in run.err
        return
    assert run.status == 0, run.err
    assert list(tmp_path.glob("outputs/*/**/metrics.json"))


# Two trials of one batch each.
SMALL_SEARCH = ["data.allow_subset=true", "data.train_size=512", "data.val_size=100", "hydra.sweeper.n_trials=2"]
SMALL_SEARCH += ["trainer.max_epochs=1", "trainer.limit_train_batches=1"]


def smoke_for(arguments: list[str]) -> list[str]:
    """What makes a command small; `trainer=gpu` and `trainer=overfit` stay what they are."""
    if any(argument.startswith("trainer=") for argument in arguments):
        return ["data.train_size=256"] if "trainer=gpu" in arguments else ["trainer.max_epochs=2"]
    sizes = [] if any(argument.startswith("data.train_size") for argument in arguments) else ["data.train_size=256"]
    return ["trainer=smoke", *sizes]


@pytest.mark.parametrize("line", SCRIPTS)
def test_script(line: str, tmp_path: Path, environment: dict[str, str]) -> None:
    program, *arguments = shlex.split(line)[1:]
    command = [sys.executable, str(PROJECT / program), "--smoke", *arguments]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "| --- |" in run.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("line", MAKE)
def test_make(line: str, environment: dict[str, str]) -> None:
    """The targets call this interpreter on the right things; `make test` itself would never end here."""
    command = [*shlex.split(line), "--dry-run", f"RUN={sys.executable}", f"-C{PROJECT}"]
    plan = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert plan.returncode == 0, plan.stderr
    assert {"make train": "train.py", "make test": "pytest", "make sweep": "sweep=tinyvgg"}[line] in plan.stdout


def test_the_report_of_a_search(train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]) -> None:
    assert train("-m", "sweep=tinyvgg", *SMALL_SEARCH).status == 0
    (tmp_path / "outputs/sweeps/tinyvgg/leaderboard.md").unlink()
    command = [sys.executable, str(PROJECT / "scripts/report.py"), REPORT.split()[-1]]
    report = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert report.returncode == 0, report.stderr
    assert (tmp_path / "outputs/sweeps/tinyvgg/leaderboard.md").is_file()


def test_the_tab_completion_installs_itself(train: Callable[..., Finished]) -> None:
    shown = train("-sc", "install=bash")
    assert shown.status == 0
    assert "complete -o nospace" in shown.out


def test_the_tree_is_the_tree() -> None:
    tree = re.search(r"## The code\n\n```\n(.*?)```", README, flags=re.DOTALL)
    assert tree is not None
    inside = re.findall(r"^  (\S+)", tree[1], flags=re.MULTILINE)
    package = PROJECT / "src/cnnlab"
    present = [f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"]
    present += [path.name for path in package.glob("*.py") if path.name != "__init__.py"]
    assert sorted(inside) == sorted(present)
    for name in re.findall(r"^(\S+)", tree[1], flags=re.MULTILINE):
        assert (PROJECT / name).exists(), name
    assert README.count("\n") <= 250
