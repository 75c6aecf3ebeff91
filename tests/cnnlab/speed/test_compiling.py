"""A compiled network trains to the same numbers, leaves ordinary checkpoints, and goes on where the compiler fails."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import fork_server
from cnnlab.saved_run import load_model
from cnnlab.speed.torch_internals import compile_training, is_compiled
from conftest import PROJECT, Finished


def test_a_compiled_run_is_an_ordinary_run(smoke: Callable[..., Finished], train: Callable[..., Finished]) -> None:
    """torch's backend "eager" traces the network and runs it as it is: the numbers must be the same bits."""
    small = ["logger=none", "trainer.fast_loop=true", "scheduler=none"]
    plain, compiled = smoke(*small), smoke(*small, "trainer.compile=eager")
    assert "compile  TinyVGG with eager" in compiled.out
    checkpoints = [torch.load(f"{run.folder}/checkpoints/last.ckpt") for run in (plain, compiled)]
    first, second = (checkpoint["state_dict"] for checkpoint in checkpoints)
    assert list(first) == list(second)
    assert all(map(torch.equal, first.values(), second.values()))
    resumed = train(f"resume={compiled.folder}", "trainer.max_epochs=2")
    assert resumed.status == 0, resumed.err
    assert not is_compiled(load_model(str(compiled.folder)).model)


def test_where_the_compiler_fails_the_network_goes_on_without_it() -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no C++ compiler here")

    reasons: list[Exception] = []
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    inputs = torch.rand(4, 3)
    compile_training(network, broken, reasons.append)
    network.eval()
    network(inputs)
    assert not reasons  # only training is compiled
    network.train()
    for _ in range(2):
        assert network(inputs).shape == (4, 2)
    assert len(reasons) == 1
    assert "no C++ compiler here" in str(reasons[0])
    assert not is_compiled(network)
    assert int(network[1].num_batches_tracked) == 2


def test_a_networks_own_error_is_not_the_compilers() -> None:
    network = nn.Linear(3, 2)
    compile_training(network, "eager", pytest.fail)
    with pytest.raises(Exception, match="shapes cannot be multiplied|size mismatch|must match"):
        network(torch.rand(4, 5))


def test_a_typo_gets_the_nearest_backend(smoke: Callable[..., Finished]) -> None:
    run = smoke("trainer.compile=inductr")
    assert run.status == 1
    assert "trainer.compile must be true, false or a backend" in run.err
    assert "did you mean inductor?" in run.err


@pytest.mark.gpu
@pytest.mark.skipif(not shutil.which("cc") and not shutil.which("gcc"), reason="Triton needs a C compiler")
def test_compiled_on_a_gpu_it_learns_the_same(tmp_path: Path, environment: dict[str, str]) -> None:
    small = ["trainer=smoke", "trainer.accelerator=cuda", "data.train_size=256", "data.val_size=100", "logger=none"]
    small += ["model.num_blocks=1", "model.convs_per_block=1", "test=false"]
    for name, compiled in {"plain": "false", "compiled": "true"}.items():
        command = [sys.executable, str(PROJECT / "train.py"), *small, f"trainer.compile={compiled}"]
        run = fork_server.run([*command, f"hydra.run.dir={name}"], cwd=tmp_path, env=environment)
        assert run.returncode == 0, run.stderr
        assert "trainer.compile is not used" not in run.stdout
    plain, compiled_ = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("plain", "compiled"))
    assert compiled_["val/loss"] == pytest.approx(plain["val/loss"], rel=0.05)
