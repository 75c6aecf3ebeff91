"""What the processes of a run have in common, and what each has of its own; how they find each other."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule

from cnnlab.distributed import reporting
from cnnlab.distributed.environment import check_number, environment
from cnnlab.distributed.together import Together
from cnnlab.errors import Interrupted, UserError
from cnnlab.runs import failures
from cnnlab.runs.locks import locked

MODULE = LightningModule()


def trainer(rank: int, epoch: int = 0, first_folder: str = "the first one's") -> Any:
    strategy = SimpleNamespace(broadcast=lambda folder: folder if rank == 0 else first_folder)
    return SimpleNamespace(global_rank=rank, is_global_zero=rank == 0, current_epoch=epoch, strategy=strategy)


def drawn(rank: int, epoch: int) -> list[float]:
    """Random numbers of an epoch, after those of the epoch before."""
    together = Together(Path("run"), 0, lambda: None)
    torch.manual_seed(0)
    together.on_train_epoch_start(trainer(rank, epoch), MODULE)
    numbers: list[float] = torch.rand(3).tolist()
    return numbers


def test_each_process_but_the_first_draws_its_own_numbers_in_every_epoch() -> None:
    torch.manual_seed(0)
    alone = torch.rand(3).tolist()
    assert drawn(0, 0) == drawn(0, 1) == alone  # what a run in one process draws
    others = [drawn(rank, epoch) for rank in (1, 2) for epoch in (0, 1)]
    assert len({tuple(numbers) for numbers in [alone, *others]}) == 5
    assert drawn(2, 1) == others[3]


def test_the_folder_is_that_of_the_first_process_which_alone_writes_when_all_are_there() -> None:
    done: list[int] = []
    for rank, folder in ((0, "run"), (1, "the first one's")):
        together = Together(Path("run"), 0, lambda rank=rank: done.append(rank))  # type: ignore[misc]
        for stage in ("fit", "test"):
            together.setup(trainer(rank), MODULE, stage)
        assert together.run_dir == Path(folder)
    assert done == [0]


def test_an_error_is_left_to_the_first_process_as_long_as_it_lives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "_PATIENCE", 0.2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    together = Together(tmp_path, 0, lambda: None)
    together.setup(trainer(1, first_folder=str(tmp_path)), MODULE, "fit")
    with locked(tmp_path):
        together.on_exception(trainer(1), MODULE, RuntimeError("[gloo/transport] Connection closed by peer"))
        assert failures.cause(tmp_path) is None
        together.on_exception(trainer(1), MODULE, Interrupted(15))
        together.on_exception(trainer(0), MODULE, UserError("the first one tells its own"))
        assert failures.cause(tmp_path) is None
        error = UserError("a file cannot be read")
        together.on_exception(trainer(1), MODULE, error)
        assert failures.cause(tmp_path) == "process 1: a file cannot be read"
    assert capsys.readouterr().err == ""
    together.on_exception(trainer(1), MODULE, error)  # which has been told
    assert capsys.readouterr().err == ""


def test_one_of_those_who_are_left_tells_of_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    for _ in range(3):
        reporting.report(tmp_path, RuntimeError("[gloo/transport] Connection closed by peer"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "error: the first process of the run has ended; no epoch was finished, so there is nothing to resume"
    )


def test_a_mistake_of_the_program_leaves_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("no such number")
    except ZeroDivisionError as error:
        reporting.report(tmp_path, error)
    assert "ZeroDivisionError: no such number (traceback.txt has more)" in capsys.readouterr().err
    assert "raise ZeroDivisionError" in (tmp_path / "traceback.txt").read_text()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.distributed.DistBackendError("watchdog"), True),
        (RuntimeError("[/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1"), True),
        (RuntimeError("shape '[2]' is invalid for input of size 3"), False),
        (ConnectionError("connection"), False),  # of a logger's server, say
        (UserError("connection"), False),
    ],
)
def test_what_only_says_that_another_process_does_not_answer(error: Exception, expected: bool) -> None:
    assert reporting.is_of_a_connection(error) == expected


def test_srun_says_what_torchrun_would(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1"}
    given |= {"SLURM_STEP_NODELIST": "gpu[7-8]", "SLURM_JOB_ID": "1234567", "SLURM_STEP_ID": "2"}
    for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = environment({"devices": 2, "num_nodes": 2})
    assert (found.local_rank(), found.node_rank(), found.creates_processes_externally) == (1, 1, True)
    assert (found.main_address, found.main_port) == ("gpu7", 15_000 + 5_672)


def test_a_process_of_an_unknown_launcher_does_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"devices": 2}
    whole: Any = SimpleNamespace(num_devices=2, num_nodes=1)
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(UserError, match="LOCAL_RANK=0 says that a launcher .* neither torchrun nor srun"):
        check_number(whole, settings)
    check_number(whole, {"devices": 1})  # a run of one process does not care
    monkeypatch.setenv("CNNLAB_FURTHER_PROCESS", "1")
    check_number(whole, settings)
