"""The command itself: quick answers, and values that mean what they say."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PROJECT, Finished

WITHOUT_TORCH = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    heavy = {"torch", "lightning", "pandas", "matplotlib", "optuna"} & set(sys.modules)
    assert not heavy, heavy
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "TinyVGG on MNIST, on the GPU if there is one"),
        (["--cfg", "job", "model=lenet5"], "cnnlab.models.lenet5.LeNet5"),
        (["-sc", "query=bash"], "model=tinyvgg"),
    ],
)
def test_quick_answers_need_no_torch_and_leave_nothing(
    arguments: list[str], expected: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    completion = {"COMP_LINE": "train.py model=tin", "COMP_POINT": "18"}
    answer = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(PROJECT / "train.py"), *arguments],
        cwd=tmp_path,
        env=environment | completion,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert expected in answer.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_stack_trace_is_shown_when_asked_for(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnlab.errors import UserError

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(UserError, match="hidden_units"):
        smoke("model.hidden_units=0")
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


def test_paths_are_taken_literally(smoke: Callable[..., Finished], tmp_path: Path) -> None:
    odd = tmp_path / "a=b, (1) é'.data"
    odd.mkdir()
    run = smoke(f"data.root={odd}", "test=false", "logger=none")
    assert run.status == 0, run.err
    assert run.folder is not None
    from omegaconf import OmegaConf

    assert OmegaConf.load(run.folder / ".hydra/config.yaml").data.root == str(odd)


def test_from_another_folder_through_a_process_of_its_own(tmp_path: Path, environment: dict[str, str]) -> None:
    """The real thing, once: exit status, streams and folders as a user's shell sees them."""
    command = [sys.executable, str(PROJECT / "train.py"), "trainer=smoke", "data.train_size=256"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert "epoch 1/1" in run.stdout
    assert "\r" not in run.stdout
    (folder,) = (tmp_path / "outputs/runs").iterdir()
    assert (folder / "metrics.json").is_file()


def test_two_processes_share_one_run(tmp_path: Path, environment: dict[str, str]) -> None:
    """trainer.devices=2 is never the default, but whoever asks for it gets one run, told once."""
    command = [sys.executable, str(PROJECT / "train.py"), "trainer=smoke", "trainer.devices=2", "data.train_size=256"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("epoch 1/1") == 1
    assert run.stdout.count("WARNING: this is not MNIST") == 1
    assert len(list(tmp_path.rglob("metrics.json"))) == 1
