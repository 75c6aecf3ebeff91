"""Processes that torchrun or srun has started beside the first one of a run have no folder of their own."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from cnnlab.cli import followers
from cnnlab.cli.arguments import with_runs_found
from cnnlab.errors import Interrupted, UserError
from cnnlab.overrides import value_of
from conftest import PROJECT, Finished


@pytest.fixture
def as_second(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"TORCHELASTIC_RUN_ID": "none", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def is_follower(*arguments: str) -> bool:
    return followers.is_follower(PROJECT / "conf", "train", list(arguments))


@pytest.mark.usefixtures("as_second")
def test_only_the_config_tells_what_the_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_follower()
    assert is_follower("trainer=ddp_cpu")
    assert is_follower("trainer.devices=2")
    assert not is_follower("trainer=ddp_cpu", "trainer.devices=1")
    assert not is_follower("-m", "trainer=ddp_cpu", "seed=0,1")
    assert not followers.is_follower(PROJECT / "conf", "predict", ["run=x"])
    assert is_follower("trainer=nothing")  # the first process says what is wrong
    run = tmp_path / "a run, (1)"
    (run / ".hydra").mkdir(parents=True)
    OmegaConf.save({"trainer": {"devices": 2}}, run / ".hydra/config.yaml")
    assert is_follower(f"resume={run}")
    assert not is_follower(f"resume={run}", "trainer.devices=1")
    monkeypatch.setenv("RANK", "0")
    assert not is_follower("trainer=ddp_cpu")


@pytest.mark.usefixtures("as_second")
def test_what_a_follower_writes_is_removed(tmp_path: Path) -> None:
    with followers.argv_for_hydra(["train.py", "trainer=ddp_cpu", "hydra.run.dir=given"], is_follower=True):
        folder = Path(str(value_of("hydra.run.dir", sys.argv)))
        assert folder.is_dir()
        assert sys.argv == ["train.py", "trainer=ddp_cpu", f"hydra.run.dir='{folder}'", "hydra.output_subdir=null"]
    assert not folder.exists()
    with followers.argv_for_hydra(["train.py", f"resume={tmp_path}"], is_follower=True):
        assert value_of("hydra.run.dir", sys.argv) == str(tmp_path)


@pytest.mark.usefixtures("as_second")
def test_a_mistake_is_told_by_the_first_process_of_a_machine(
    train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (train("trainer=ddp_cpu", "model=nothing").err, train("trainer=ddp_cpu", "seed=-1").err) == ("", "")
    monkeypatch.setenv("LOCAL_RANK", "0")  # of the second machine
    assert "seed must not be negative" in train("trainer=ddp_cpu", "seed=-1").err
    assert "unknown model 'nothing'" in train("model=nothing").err  # a run of its own

    told = UserError("an error of the training")
    assert not followers.another_tells(told)
    told.is_told = True  # type: ignore[attr-defined]
    assert followers.another_tells(told)
    assert followers.another_tells(Interrupted(15))


def test_a_launcher_has_as_many_processes_as_the_run(
    train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    (line,) = train("trainer=ddp_cpu", "data.train_size=256").err.splitlines()
    assert line.startswith(
        "error: torchrun has started 3 processes, but trainer.devices=2 on trainer.num_nodes=1 make 2"
    )
    grid = train("-m", "trainer=ddp_cpu", "data.train_size=256", "seed=0,1")
    assert "torchrun starts the processes of one run; start each run of this grid by its own torchrun" in grid.err


@pytest.mark.parametrize("local_rank", ["0", "1"])
def test_a_grid_of_runs_on_many_devices_is_refused_before_it_has_a_folder(
    local_rank: str, command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": local_rank, "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_RANK", local_rank)
    refused = command("train.py", "-m", "trainer=ddp_cpu", "seed=0,1")
    line = (
        "error: torchrun starts the processes of one run; start each run of this grid by its own torchrun, or the grid "
        "without it\n"
    )
    assert (refused.status, refused.err) == (1, "" if local_rank == "1" else line)
    assert list(tmp_path.iterdir()) == []
    followers.refuse_grid(PROJECT / "conf", "train", ["-m", "seed=0,1"])  # each process makes a grid of its own
    followers.refuse_grid(PROJECT / "conf", "train", ["-m", "sweep=tinyvgg", "trainer=ddp_cpu"])  # only: sweep


@pytest.mark.usefixtures("as_second")
def test_the_latest_run_could_be_another_to_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="init_from=latest could mean another run to each process that torchrun has"):
        with_runs_found(["init_from=latest", "trainer=ddp_cpu"])
    assert is_follower("init_from=latest", "trainer=ddp_cpu")  # so the first process tells it
