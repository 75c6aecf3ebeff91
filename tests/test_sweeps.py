"""`python train.py -m sweep=…` from the outside: real trials on the embedded digits, in their own processes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fork_server
from conftest import PROJECT, Finished

# Small enough for a test: a few batches of a few images.
SMALL = ["data.allow_subset=true", "data.train_size=512", "data.val_size=100", "trainer.max_epochs=2"]
# Every setting that is fixed is one panel less in the figures, and fewer configs to compose.
FIXED = ["augment=none", "model.kernel_size=3", "model.stride=1", "model.padding=same", "model.pool=max"]
FIXED += ["model.norm=none", "model.activation=relu"]
STUDY = ["data.batch_size=choice(32,64)", "model.hidden_units=choice(2,10)", "hydra.sweeper.n_trials=2"]


def sweep(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "train.py"), "-m", *arguments]
    return fork_server.run(command, cwd=folder, env=environment)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One search of two trials for several tests to look at."""
    folder = tmp_path_factory.mktemp("search")
    environment = {name: value for name, value in os.environ.items() if name != "CNNLAB_DATA_DIR"}
    run = sweep(folder, environment, "sweep=tinyvgg", "hydra/sweeper/pruner=none", *SMALL, *FIXED, *STUDY)
    assert run.returncode == 0, run.stderr
    return folder / "outputs/sweeps/tinyvgg", run


def test_every_trial_is_a_run_folder_without_test_numbers(finished: tuple[Path, object]) -> None:
    folder, _ = finished
    trials = sorted(entry.name for entry in folder.iterdir() if entry.name.isdigit())
    assert trials == ["0", "1"]
    for trial in trials:
        metrics = json.loads((folder / trial / "metrics.json").read_text())
        assert metrics["val/accuracy"] > 0
        assert not [name for name in metrics if name.startswith("test/")]
        assert not (folder / trial / "evaluation").exists()
        assert (folder / trial / "train.log").stat().st_size > 0


def test_the_first_trial_is_the_defaults(finished: tuple[Path, object]) -> None:
    overrides = yaml.safe_load((finished[0] / "0/.hydra/overrides.yaml").read_text())
    config = yaml.safe_load((finished[0] / "0/.hydra/config.yaml").read_text())
    assert "data.batch_size=32" in [override.lstrip("+") for override in overrides]
    assert config["optimizer"]["lr"] == 0.005


def test_warned_loudly_that_these_are_not_all_of_mnist(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    assert "WARNING: this is not MNIST" in finished[1].stderr + finished[1].stdout


def test_hparams_lists_every_trial_with_its_settings_and_metrics(finished: tuple[Path, object]) -> None:
    for trial in "01":
        events = EventAccumulator(str(finished[0] / trial))
        events.Reload()
        assert {"_hparams_/session_start_info", "_hparams_/session_end_info"} <= set(events.summary_metadata)
        assert events.Scalars("1_epochs/val/accuracy")


def test_report_and_figures_are_there(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, run = finished
    assert {"leaderboard.csv", "leaderboard.md", "best_experiment.yaml", "multirun.yaml"} <= set(os.listdir(folder))
    assert (folder / "figures/optimization_history.png").stat().st_size > 10_000
    assert "reproduce" in run.stdout
    assert "\ngoal    maximize val/accuracy\n" in run.stdout


def test_the_reproduce_command_gives_the_same_accuracy_to_the_bit(
    finished: tuple[Path, object], tmp_path: Path, environment: dict[str, str]
) -> None:
    results = yaml.safe_load((finished[0] / "optimization_results.yaml").read_text())
    command = shlex.split(results["reproduce"])
    fork_server.run([sys.executable, *command[1:], "hydra.run.dir=again"], cwd=tmp_path, env=environment, check=True)
    best = json.loads((finished[0] / results["best_folder"] / "metrics.json").read_text())
    again = json.loads((tmp_path / "again/metrics.json").read_text())
    times = {"train_seconds", "images_per_second"}
    assert {k: v for k, v in again.items() if k not in times} == {k: v for k, v in best.items() if k not in times}


def test_the_retrain_command_is_the_full_training_with_its_test(finished: tuple[Path, object]) -> None:
    results = yaml.safe_load((finished[0] / "optimization_results.yaml").read_text())
    arguments = shlex.split(results["retrain"])
    assert {"test=true", "data.train_size=null", "trainer.max_epochs=5", "trainer.num_threads=null"} <= set(arguments)
    assert not {"test=false", "data.train_size=512", "sweep=tinyvgg"} & set(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep=batch_size"], "defaults: data: mnist is neither under"),
        (["sweep=batch_size", *SMALL, "test=true"], "must not see the test images"),
        (
            ["sweep=batch_size", *SMALL, "model.activation=choice(relu,rel)"],
            "model.activation=rel: .*did you mean relu",
        ),
        (["sweep=batch_size", *SMALL, "model.hiden_units=choice(2,3)"], "unknown key model.hiden_units; did you mean"),
        (["sweep=batch_size", *SMALL, "optimizer.lrr=choice(2,3)"], "unknown key optimizer.lrr: .*did you mean lr"),
        (["sweep=tinyvg"], "unknown sweep 'tinyvg': choose from .*did you mean tinyvgg"),
        (["sweep=tinyvgg", "hydra/sweeper/sampler=tpee"], "unknown hydra/sweeper/sampler 'tpee'.*did you mean tpe"),
        (["sweep=tradeoff", *SMALL, "hydra/sweeper/pruner=median"], "a pruner compares one number"),
    ],
)
def test_refused_before_any_trial_and_nothing_left(
    arguments: list[str], message: str, train: Callable[..., Finished], tmp_path: Path
) -> None:
    refused = train("-m", *arguments)
    assert refused.status == 1
    lines = [line for line in refused.err.splitlines() if not line.startswith("WARNING")]
    assert len(lines) == 1, refused.err
    assert re.search(message, lines[0]), lines[0]
    assert not (tmp_path / "outputs").exists()


def test_a_pruned_trial_and_an_impossible_one_are_pruned_not_failed(
    train: Callable[..., Finished], tmp_path: Path
) -> None:
    """Threshold pruning ends trials after one epoch; stride 2 with same padding is no network at all."""
    arguments = ["sweep=tinyvgg", *SMALL, "hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.lower=0.999"]
    arguments += ["hydra.sweeper.enqueue_defaults=false", "hydra.sweeper.prepare=null", "hydra.sweeper.report=null"]
    arguments += ["hydra/sweeper/sampler=grid", "model.stride=1,2", "hydra.sweeper.n_trials=2"]
    fixed = ["model.padding=same", "model.num_blocks=1", "model.convs_per_block=1", "optimizer.lr=0.01"]
    fixed += ["data.batch_size=32", "optimizer=adam", "augment=none", "model.hidden_units=2", "model.kernel_size=3"]
    fixed += ["model.pool=max", "model.norm=none", "model.activation=relu", "model.dropout=0"]
    run = train("-m", *arguments, *fixed, "optimizer.weight_decay=0")
    assert run.status == 0, run.err
    folder = tmp_path / "outputs/sweeps/tinyvgg"
    counts = yaml.safe_load((folder / "optimization_results.yaml").read_text())["counts"]
    assert (counts["pruned"], counts["failed"], counts["complete"]) == (2, 0, 0)
    assert json.loads((folder / "0/metrics.json").read_text())["epochs"] == 1
    assert "padding=same needs stride=1" in (folder / "1/trial.json").read_text()


@pytest.mark.usefixtures("white_figures")
def test_two_objectives_give_a_pareto_front(train: Callable[..., Finished], tmp_path: Path) -> None:
    fixed = ["data.batch_size=32", "model.norm=none", "model.num_blocks=1", "model.convs_per_block=1"]
    run = train("-m", "sweep=tradeoff", *SMALL, *fixed, "hydra.sweeper.n_trials=2")
    assert run.status == 0, run.err
    results = yaml.safe_load((tmp_path / "outputs/sweeps/tradeoff/optimization_results.yaml").read_text())
    assert results["metrics"] == ["val/accuracy", "num_parameters"]
    assert results["directions"] == ["maximize", "minimize"]
    for solution in results["solutions"]:
        accuracy, size = solution["values"]
        assert not [o for o in results["solutions"] if o["values"][0] > accuracy and o["values"][1] < size]


@pytest.mark.slow
def test_a_killed_search_goes_on_from_the_last_checkpoint_and_ends_as_if_nothing_had_happened(
    train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]
) -> None:
    one = ["sweep=tinyvgg", *SMALL, "trainer.max_epochs=6", "hydra.sweeper.report=null", "hydra.sweeper.n_trials=1"]
    one += ["hydra/sweeper/pruner=none", "data.train_size=1500", "hydra.sweeper.prepare=null", "logger=none"]
    assert train("-m", *one, "hydra.sweeper.study_name=whole").status == 0

    command = [sys.executable, str(PROJECT / "train.py"), "-m", *one, "hydra.sweeper.study_name=killed"]
    search = fork_server.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    folder = tmp_path / "outputs/sweeps/killed"
    wait_until(lambda: (folder / "0/checkpoints/last.ckpt").exists())
    search.kill()
    search.wait()
    again = train("-m", *one, "hydra.sweeper.study_name=killed")
    assert again.status == 0, again.err
    assert "epoch 1/6" not in (folder / "1/train.log").read_text()
    times = {"train_seconds", "images_per_second"}
    whole, killed = (
        {key: value for key, value in json.loads(path.read_text()).items() if key not in times}
        for path in (tmp_path / "outputs/sweeps/whole/0/metrics.json", folder / "1/metrics.json")
    )
    assert killed == whole
    results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert results["counts"] == {"complete": 1, "pruned": 0, "failed": 0, "interrupted": 1, "running": 0}
    assert "init_from" not in results["reproduce"]


@pytest.mark.gpu
def test_trials_share_a_gpu_and_a_killed_one_is_run_again(tmp_path: Path, environment: dict[str, str]) -> None:
    """Four at once on the first GPU, by whatever name it is visible; nvidia-smi need not be there."""
    first = environment.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    environment = {**environment, "CUDA_VISIBLE_DEVICES": first}
    arguments = ["sweep=tinyvgg", *SMALL, "data.train_size=2000", "trainer.max_epochs=3", "hydra.sweeper.n_trials=8"]
    arguments += ["hydra.sweeper.workers_per_gpu=4", "hydra.sweeper.report=null"]
    command = [sys.executable, str(PROJECT / "train.py"), "-m", *arguments]
    search = fork_server.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    folder = tmp_path / "outputs/sweeps/tinyvgg"
    wait_until(lambda: (folder / "1/environment.json").exists())  # written just before training
    victim = process_writing_to(folder / "1")
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    out, _ = search.communicate(timeout=120)
    assert search.returncode == 0, out
    assert f"on GPUs {first} {first} {first} {first}" in out
    assert "killed by signal 9; will be run again" in out
    counts = yaml.safe_load((folder / "optimization_results.yaml").read_text())["counts"]
    assert (counts["complete"] + counts["pruned"], counts["failed"]) == (8, 0)
    metrics = [json.loads(path.read_text()) for path in folder.glob("*/metrics.json")]
    assert {trial["device"] for trial in metrics} == {torch.cuda.get_device_name()}


def process_writing_to(folder: Path) -> int | None:
    """The process whose output goes into a trial's folder."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and Path(os.readlink(entry / "fd/1")).parent == folder:
                return int(entry.name)
        except OSError:  # gone, or somebody else's
            continue
    return None


@pytest.mark.gpu
def test_a_trial_that_needs_more_memory_than_a_gpu_has_fails_and_the_search_goes_on(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """The second trial's first layer alone would have outputs of 200 GB."""
    arguments = ["sweep=settings", "hydra/sweeper/sampler=grid", "hydra.sweeper.study_name=memory", *SMALL]
    arguments += ["hydra.sweeper.enqueue_defaults=false", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1"]
    arguments += ["model.hidden_units=10,32768,12", "model.num_blocks=1", "model.convs_per_block=1"]
    arguments += ["data.train_size=4000", "data.batch_size=4000", "hydra.sweeper.report=null"]
    run = sweep(tmp_path, environment, *arguments, "trainer.max_epochs=1", "trainer=gpu")
    assert "out of GPU memory with data.batch_size=4000" in run.stdout + run.stderr
    assert "2 complete, 1 failed" in run.stdout, run.stdout + run.stderr


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_trial_on_two_devices_is_one_trial_pruned_on_both(tmp_path: Path, environment: dict[str, str]) -> None:
    devices = ["trainer=cpu", "trainer.devices=2", "trainer.strategy=ddp", "hydra.sweeper.n_jobs=1"]
    pruner = ["hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.lower=0.999", "hydra.sweeper.report=null"]
    study = ["hydra.sweeper.enqueue_defaults=false", "hydra.sweeper.n_trials=1", "hydra.sweeper.prepare=null"]
    run = sweep(tmp_path, environment, "sweep=tinyvgg", *SMALL, *devices, *pruner, *study)
    assert run.returncode == 0, run.stderr
    folder = tmp_path / "outputs/sweeps/tinyvgg"
    assert [entry.name for entry in folder.iterdir() if entry.name.isdigit()] == ["0"]
    assert json.loads((folder / "0/metrics.json").read_text())["epochs"] == 1
    assert '"PRUNED"' in (folder / "0/trial.json").read_text()
    assert [entry.name for entry in (tmp_path / "outputs").iterdir()] == ["sweeps"]
