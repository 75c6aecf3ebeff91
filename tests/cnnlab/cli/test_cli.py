"""The command itself: quick answers, and values that mean what they say."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fork_server
from cnnlab import training
from cnnlab.cli.command import command as command_of
from cnnlab.cli.config_errors import refuse_misplaced_header
from cnnlab.errors import UserError
from conftest import PROJECT, SMOKE, Finished

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
        (["--cfg", "job", "model=linear"], "cnnlab.models.linear.Linear"),
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


@pytest.mark.parametrize("run_program", [fork_server.run, pytest.param(subprocess.run, marks=pytest.mark.slow)])
def test_from_another_folder_through_a_process_of_its_own(
    run_program: Any, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Exit status, streams and folders as a user's shell sees them; the slow one is the real thing, once."""
    command = [sys.executable, str(PROJECT / "train.py"), "trainer=smoke", "data.train_size=256"]
    pipes = {} if run_program is fork_server.run else {"capture_output": True, "text": True}
    run = run_program(command, cwd=tmp_path, env=environment, check=False, **pipes)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert "epoch 1/1" in run.stdout
    assert "\r" not in run.stdout
    (folder,) = (tmp_path / "outputs/runs").iterdir()
    assert (folder / "metrics.json").is_file()


@pytest.mark.slow
def test_two_processes_are_one_run_with_the_numbers_of_one_process(
    train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]
) -> None:
    """trainer=ddp_cpu is never the default, but whoever asks for it gets one run, told once, each sample once."""
    sizes = ["trainer=cpu", "data.train_size=300", "data.val_size=251", "trainer.max_epochs=2"]
    alone = train(*sizes, "data.batch_size=64", "hydra.run.dir=one")
    assert alone.status == 0, alone.err
    shared = ["trainer=ddp_cpu", "data.batch_size=64", "data.eval_batch_size=125", "hydra.run.dir=two"]
    command = [sys.executable, str(PROJECT / "train.py"), *sizes, *shared]
    run = fork_server.run(command, cwd=tmp_path, env=environment)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("epoch 1/2") == 1
    assert run.stdout.count("WARNING: this is not MNIST") == 1
    assert len(list(tmp_path.rglob("metrics.json"))) == 2

    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    assert one["batch_size"] == 64
    assert all(numbers.pop("train_seconds") > 0 and numbers.pop("images_per_second") > 0 for numbers in (one, two))
    assert two == {key: pytest.approx(value, abs=2e-5) if "/" in key else value for key, value in one.items()}
    for name in ("confusion_counts.csv", "per_class_accuracy.csv"):
        counts = [(tmp_path / run / "evaluation/test" / name).read_text() for run in ("one", "two")]
        assert counts[0] == counts[1]
    curves = []
    for name in ("one", "two"):
        events = EventAccumulator(str(tmp_path / name))
        events.Reload()
        curves.append([event.value for event in events.Scalars("2_steps/train/loss")])
    assert curves[1] == pytest.approx(curves[0], abs=2e-5)
    assert [path.name for path in (tmp_path / "two").glob("*.log")] == ["train.log"]


def test_ddp_without_a_gpu_says_so_in_one_line(train: Callable[..., Finished]) -> None:
    run = train("trainer=ddp", "data.train_size=256")
    assert run.status == 1
    (line,) = run.err.splitlines()
    assert re.search("trainer=ddp cannot be used: .*; trainer=auto or trainer=ddp_cpu will run here", line)


@pytest.mark.gpu
def test_ddp_with_one_gpu_is_an_ordinary_run(tmp_path: Path, environment: dict[str, str]) -> None:
    sizes = ["trainer=smoke", "trainer.accelerator=cuda", "data.train_size=256", "data.val_size=100", "logger=none"]
    for name, strategy in {"one": [], "ddp": ["trainer.strategy=ddp", "trainer.devices=auto"]}.items():
        command = [sys.executable, str(PROJECT / "train.py"), *sizes, *strategy, f"hydra.run.dir={name}"]
        run = fork_server.run(command, cwd=tmp_path, env=environment)
        assert run.returncode == 0, run.stderr  # where NCCL may say what it does
    one, ddp = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "ddp"))
    assert ddp["test/loss"] == pytest.approx(one["test/loss"], rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["data.batch_size=33"],
            "batch_size is the run's and must be a multiple of its 2 processes, got 33; data.batch_size=32 or "
            "data.batch_size=34 would do",
        ),
        (["trainer.num_nodes=2"], "trainer.num_nodes=2 needs torchrun or srun, which start the processes of each"),
        (["data.batch_size=auto"], "data.batch_size=auto needs a single device; give a number"),
        (["data.val_size=1"], "2 processes cannot share the validation split: it must hold at least 2 samples, got 1"),
        (["trainer.strategy=ddp_spawn"], "run python train.py with trainer.strategy=ddp"),
    ],
)
def test_what_several_processes_cannot_do_is_refused_before_they_start(
    arguments: list[str], words: str, smoke: Callable[..., Finished]
) -> None:
    run = smoke("trainer.devices=2", *arguments)
    assert run.status == 1
    (line,) = run.err.splitlines()
    assert words in line
    assert run.folder is None


def test_a_grid_tells_each_failure_and_goes_on(
    train: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five jobs one is refused, one diverges and one meets a mistake of the program."""
    build_model, told = training.build_model, []

    def build(config: DictConfig, *arguments: Any) -> Any:
        told.append(len(list(tmp_path.rglob("error.txt"))))
        if config.optimizer.lr == 0.03:
            raise ZeroDivisionError("of the program")
        return build_model(config, *arguments)

    monkeypatch.setattr(training, "build_model", build)
    grid = train("-m", *SMOKE, "test=false", "logger=none", "scheduler=none", "optimizer.lr=0.01,-1,1e30,0.03,0.02")
    assert grid.status == 1
    assert told == [0, 0, 1, 2, 3]
    (folder,) = tmp_path.glob("outputs/multiruns/*")
    assert sorted(path.parent.name for path in folder.glob("*/metrics.json")) == ["0", "4"]
    reasons = {
        "1": "optimizer: Invalid learning rate: -1",
        "2": "the training loss became ",
        "3": "ZeroDivisionError: of the program",
    }
    at_once, listed = grid.err.splitlines()[:3], grid.err.splitlines()[4:]
    assert grid.err.splitlines()[3] == "error: 3 of 5 jobs failed:"
    assert [line.removeprefix("error: ") for line in at_once] == [line.strip() for line in listed]
    for line, (number, reason) in zip(listed, reasons.items(), strict=True):
        failed = folder / number
        assert (failed / "error.txt").read_text().startswith(reason)
        assert "training and" in (failed / "train.log").read_text()
        assert (failed / "traceback.txt").is_file() == (number == "3")
        assert f"job {number}, " in line
        assert f": {reason}" in line
        assert line.endswith(f"(kept in {failed.relative_to(tmp_path)})")
    assert "optimizer.lr=1e+30" in listed[1]


# only: workbench
def test_a_grid_without_folders_of_its_own_keeps_none(command: Callable[..., Finished], tmp_path: Path) -> None:
    grid = command("predict.py", "-m", "run=nowhere", "images=a.png", "explain=true,false")
    assert grid.status == 1
    assert "error: 2 of 2 jobs failed:" in grid.err
    assert not list(tmp_path.rglob("error.txt"))


# end only
def test_a_header_that_is_not_first_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = tmp_path / "conf/experiment/mine.yaml"
    choice.parent.mkdir(parents=True)
    (tmp_path / "conf/app.yaml").write_text("defaults: [_self_, {experiment: null}]\nvalue: 1\n")
    (tmp_path / "conf/experiment/other.yaml").write_text("\n# @package _global_\n# mine is told of: # @package x\n")
    scope: dict[str, Any] = {}
    exec(compile("def task(config):\n    print(config.value)\n", str(tmp_path / "app.py"), "exec"), scope)
    app = command_of("app")(scope["task"])
    monkeypatch.chdir(tmp_path)
    for above in ("# conf/experiment/mine.yaml", "value: 2"):
        choice.write_text(f"{above}\n# @package _global_\n")
        with pytest.raises(UserError, match=r"mine.yaml, line 2: '# @package _global_' must stand before everything"):
            app.start(["app.py", "experiment=mine"])
    for overrides in (["+experiment@there=[other,mine]"], ["experiment=other,mine"]):
        with pytest.raises(UserError, match="mine.yaml, line 2"):
            refuse_misplaced_header(tmp_path / "conf", overrides)
    refuse_misplaced_header(tmp_path / "conf", ["experiment=other", "value=2", "-m", "data.path='x.npz'"])


def test_ctrl_c_is_one_line_while_hydra_is_still_imported() -> None:
    program = "import cnnlab.cli, sys; raise KeyboardInterrupt if len(sys.argv) == 1 else ValueError"
    for arguments, expected in (([], "^stopped by Ctrl-C\n$"), (["other"], "^Traceback(.|\n)*ValueError\n$")):
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
        assert done.returncode != 0
        assert re.match(expected, done.stderr), done.stderr
