"""A compiled network trains to the same numbers, leaves ordinary checkpoints, and goes on where the compiler fails."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cnnlab.saved_run import load_model
from cnnlab.speed.torch_internals import compile_training, is_compiled
from conftest import Finished


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
