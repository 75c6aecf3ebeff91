"""CONTRIBUTING's recipes, carried out to the letter in a copy of the project."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cnnlab
import fork_server
from conftest import PROJECT, SMOKE, Finished

TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = {
    heading: body
    for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    if re.search(r"^1\. ", body, flags=re.MULTILINE)
}
SMALLER = {"Add a search": [*SMOKE[1:], "trainer.limit_train_batches=1", "data.allow_subset=true"]}
LEFT_BEHIND = {
    "Add a model": ["checkpoints/best.ckpt"],
    "Add a data set": ["checkpoints/best.ckpt"],
    "Add a logger": ["csv_live/metrics.csv", "events.*"],
}


def code_blocks(body: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", body, flags=re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(PROJECT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(PROJECT / "conf", folder / "conf")
    shutil.copy(PROJECT / "train.py", folder)
    return folder


def write_files(body: str, folder: Path) -> None:
    """Paste the blocks as they stand, each into the file that one of its comments names."""
    for block in code_blocks(body, "python") + code_blocks(body, "yaml"):
        (name,) = re.findall(r"^# ((?:src|conf)/\S+)$", block, flags=re.MULTILINE)
        assert not (folder / name).exists(), f"{name}: nothing that is there may be edited"
        (folder / name).write_text(block, encoding="utf-8")


def run_command(line: str, folder: Path, environment: dict[str, str], *more: str) -> "subprocess.CompletedProcess[str]":
    program, *arguments = shlex.split(line)
    assert program == "python"
    return fork_server.run(
        [sys.executable, *arguments, *more],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder / "src")},
    )


def test_every_recipe_has_three_steps() -> None:
    assert set(RECIPES) >= {"Add a model", "Add a data set", "Add a callback", "Add a logger", "Another task"}
    for heading, body in RECIPES.items():
        assert re.findall(r"^(\d)\. ", body, flags=re.MULTILINE) == ["1", "2", "3"], heading


@pytest.mark.parametrize(
    "heading",
    [
        pytest.param(heading, marks=pytest.mark.slow) if heading == "Add a search" else heading
        for heading in RECIPES
        if heading != "Another task"
    ],
)
def test_the_steps_lead_to_a_run(heading: str, copy: Path, environment: dict[str, str]) -> None:
    body = RECIPES[heading]
    write_files(body, copy)
    commands = [line for block in code_blocks(body, "bash") for line in block.splitlines()]
    assert commands
    for line in commands:
        run = run_command(line, copy, environment, *SMALLER.get(heading, SMOKE))
        assert run.returncode == 0, run.stderr
    for pattern in LEFT_BEHIND.get(heading, []):
        assert list(copy.glob(f"outputs/runs/*/{pattern}")), pattern
    if heading == "Add a callback":
        events = list(copy.glob("outputs/runs/*/events.*"))
        assert any(b"weights/norm" in file.read_bytes() for file in events)


def test_the_new_model_is_found_by_the_tests_of_all_models(copy: Path, environment: dict[str, str]) -> None:
    write_files(RECIPES["Add a model"], copy)
    shutil.copytree(PROJECT / "tests/cnnlab/models", copy / "tests/cnnlab/models")
    for name in ("tests/conftest.py", "tests/fork_server.py", "pyproject.toml"):
        shutil.copy(PROJECT / name, copy / name)
    line = "python -m pytest -p no:cacheprovider -k shallow tests/cnnlab/models/test_zoo.py"
    tested = run_command(line, copy, environment)
    assert tested.returncode == 0, tested.stdout
    assert re.search(r"\.\.\..*100%", tested.stdout), tested.stdout


@pytest.mark.slow
def test_another_task_stops_and_goes_on(
    copy: Path, environment: dict[str, str], command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task of grades keeps the epoch with the smallest distance, and a longer run goes on from the last."""
    write_files(RECIPES["Another task"], copy)
    rng = np.random.default_rng(0)
    grades = np.arange(400) % 4
    images = grades[:, None, None] / 4 + rng.random((400, 8, 8), dtype=np.float32)
    arrays = {"x_train": images[:320], "y_train": grades[:320], "x_test": images[320:], "y_test": grades[320:]}
    np.savez(copy / "grades.npz", **arrays)
    (line,) = (line for block in code_blocks(RECIPES["Another task"], "bash") for line in block.splitlines())
    settings = ["data=npz", "data.path=grades.npz", "trainer=cpu", "scheduler=none", "hydra.run.dir=run"]
    settings += ["trainer.max_epochs=3", "classifier.metrics=[f1]"]
    first = run_command(line, copy, environment, *settings)
    assert first.returncode == 0, first.stderr
    lines = re.findall(r"epoch (\d)/3 .*val .*distance ([\d.]+)", first.stdout)
    errors = {int(epoch): float(error) for epoch, error in lines}
    metrics = json.loads((copy / "run/metrics.json").read_text())
    assert metrics["best_epoch"] == min(errors, key=lambda epoch: errors[epoch])
    assert metrics["val/distance"] == pytest.approx(min(errors.values()), abs=1e-4)
    assert metrics["test/distance"] < 1
    assert "val/f1" in metrics
    assert "val/accuracy" not in metrics

    # The rest in this process, which finds the new module beside the package's own.
    monkeypatch.setattr(cnnlab, "__path__", [*cnnlab.__path__, str(copy / "src/cnnlab")])
    monkeypatch.chdir(copy)
    # only: workbench
    evaluated = command("evaluate.py", "run=run")
    assert evaluated.status == 0, evaluated.err
    assert (
        json.loads((copy / "run/evaluation/test/metrics.json").read_text())["test/distance"] == metrics["test/distance"]
    )

    shared = ["trainer=ddp_cpu", "data.val_fraction=0.09"]
    two = run_command(line, copy, environment, *settings, *shared, "hydra.run.dir=two", "trainer.max_epochs=1")
    assert (two.returncode, two.stderr) == (0, "")
    assert command("evaluate.py", "run=two").status == 0
    of_two, of_one = (
        json.loads((copy / "two" / file).read_text()) for file in ("metrics.json", "evaluation/test/metrics.json")
    )
    for name in ("test/distance", "test/loss", "test/f1"):
        assert of_two[name] == pytest.approx(of_one[name], abs=2e-6), name
    # end only

    longer = command("train.py", "resume=run", "trainer.max_epochs=4")
    assert longer.status == 0, longer.err
    assert "epoch 4/4" in longer.out
    assert "epoch 3/4" not in longer.out
    assert json.loads((copy / "run/metrics.json").read_text())["epochs"] == 4
