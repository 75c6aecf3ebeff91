"""A run in two processes is the run in one: the same steps, one folder, one log, and it goes on after a stop."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fork_server
from conftest import PROJECT, Finished

SMALL = ["data.val_size=101", "trainer.max_epochs=1", "test=false", "logger=none", "callbacks=default"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    return state


def largest_difference(one: Path, other: Path) -> float:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def two(folder: Path, environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(PROJECT / "train.py"), "trainer=ddp_cpu", *arguments]
    return fork_server.run(command, cwd=folder, env=environment)


def metrics(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "metrics.json").read_text(encoding="utf-8")))


def test_a_hundred_steps_in_two_processes_are_those_of_one(
    train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]
) -> None:
    steps = ["trainer.precision=64-true", "data.train_size=800", "data.batch_size=8", "model.hidden_units=4", *SMALL]
    run = two(tmp_path, environment, *steps, "hydra.run.dir=two")
    assert (run.returncode, run.stderr) == (0, "")
    alone = train("trainer=cpu", *steps, "hydra.run.dir=one")
    assert alone.status == 0, alone.err
    assert torch.load(tmp_path / "two/checkpoints/last.ckpt", weights_only=True)["global_step"] == 100
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-12
    assert metrics(tmp_path / "two")["batch_size"] == 8
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model.norm=none", "optimizer=sgd", "scheduler=cosine"],
        ["callbacks=ema", "+trainer.gradient_clip_val=0.1"],
        ["data.balanced=true", "+trainer.accumulate_grad_batches=2"],
        ["data.in_memory=false", "data.num_workers=1"],
    ],
    ids=" ".join,
)
def test_ten_steps_in_float32(
    settings: list[str], train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]
) -> None:
    steps = ["trainer.precision=32-true", "data.train_size=330", *SMALL, *settings]
    run = two(tmp_path, environment, *steps, "hydra.run.dir=two")
    assert (run.returncode, run.stderr) == (0, "")
    alone = train("trainer=cpu", *steps, "hydra.run.dir=one")
    assert alone.status == 0, alone.err
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 5e-6


@pytest.mark.slow
def test_a_run_goes_on_with_the_same_bits_and_in_another_number_of_processes(
    train: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]
) -> None:
    """With dropout, which draws other numbers in each process: they too are those of a run without a stop."""
    shared = ["model.dropout=0.3", "model.hidden_units=4", "scheduler=none", "data.train_size=400", "data.val_size=50"]
    whole = two(tmp_path, environment, *shared, "trainer.max_epochs=2", "hydra.run.dir=whole")
    assert whole.returncode == 0, whole.stderr
    first = two(tmp_path, environment, *shared, "trainer.max_epochs=1", "hydra.run.dir=a b")
    assert first.returncode == 0, first.stderr
    command = [sys.executable, str(PROJECT / "train.py"), "resume=a b", "trainer.max_epochs=2"]
    longer = fork_server.run(command, cwd=tmp_path, env=environment)
    assert (longer.returncode, longer.stderr) == (0, "")
    assert "epoch 2/2" in longer.stdout
    assert largest_difference(tmp_path / "whole", tmp_path / "a b") == 0
    one = train("resume=a b", "trainer.max_epochs=3", "trainer.devices=1")
    assert one.status == 0, one.err
    assert "epoch 3/3" in one.out
    events = EventAccumulator(str(tmp_path / "a b"))
    events.Reload()
    assert [event.step for event in events.Scalars("1_epochs/train/loss")] == [1, 2, 3]
    refused = fork_server.run(
        [*command[:-1], "trainer.max_epochs=4", "trainer.devices=3"], cwd=tmp_path, env=environment
    )
    assert refused.returncode == 1
    assert "batch_size is the run's and must be a multiple of its 3 processes, got 32" in refused.stderr


def documented(program: str) -> list[str]:
    """The arguments of train.py and of the program that starts it on two machines, from the page on clusters."""
    page = (PROJECT / "docs/clusters.md").read_text(encoding="utf-8").replace("\\\n", "")
    (line,) = re.findall(rf"^{program} --.*train\.py trainer=ddp.*$", page, re.MULTILINE)
    return str(line).split()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_two_machines_are_one_run(launcher: str, tmp_path: Path, environment: dict[str, str]) -> None:
    """The documented commands, with one process on each of two machines, which are both this one."""
    words = documented(launcher)
    program, arguments = words[: words.index("train.py")], words[words.index("train.py") + 1 :]
    assert "trainer=ddp" in arguments
    assert "trainer.num_nodes=2" in arguments
    own = ["trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2", "data.train_size=320", *SMALL]
    command = [sys.executable, str(PROJECT / "train.py"), *own]
    port, nodes = str(find_free_network_port()), []
    for node in ("0", "1"):
        variables = dict(environment)
        if launcher == "srun":
            assert "--kill-on-bad-exit=1" in program
            variables |= {"SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_LOCALID": "0", "SLURM_NODEID": node}
            variables |= {"SLURM_PROCID": node, "SLURM_STEP_NODELIST": "127.0.0.1", "MASTER_PORT": port}
        else:
            here = {"--nproc-per-node=4": "--nproc-per-node=1"}
            address = f"--rdzv-endpoint=127.0.0.1:{port}"
            flags = [address if "endpoint" in word else here.get(word, word) for word in program[1:]]
            command = [sys.executable, "-m", "torch.distributed.run", *flags, str(PROJECT / "train.py"), *own]
        nodes.append(subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True))
    outputs = [node.communicate(timeout=300)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0]
    assert sorted(output.count("epoch 1/1") for output in outputs) == [0, 1]
    (run,) = (tmp_path / "outputs/runs").iterdir()
    assert metrics(run)["batch_size"] == 32
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["runs"]


@pytest.mark.slow
def test_each_run_of_a_grid_has_its_own_processes(tmp_path: Path, environment: dict[str, str]) -> None:
    small = ["model=linear", "data.train_size=320", "data.val_size=50", "trainer.max_epochs=1", "logger=none"]
    command = [sys.executable, str(PROJECT / "train.py"), "-m", "seed=0,1", "trainer=ddp_cpu", *small]
    grid = fork_server.run(command, cwd=tmp_path, env=environment)
    assert (grid.returncode, grid.stderr) == (0, "")
    (folder,) = (tmp_path / "outputs/multiruns").iterdir()
    assert [metrics(folder / number)["seed"] for number in ("0", "1")] == [0, 1]
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["multiruns"]
