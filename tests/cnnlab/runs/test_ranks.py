"""Who has started a process, and which process of its run it is."""

import os

import pytest

from cnnlab.runs import ranks

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}
SRUN = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1"}
# A script of sbatch has these, but srun has not started it.
SBATCH = {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


@pytest.mark.parametrize(
    ("variables", "launcher", "rank", "local_rank", "number"),
    [
        ({}, None, 0, 0, None),
        (SBATCH, None, 0, 0, None),
        ({**SBATCH, "SLURM_STEP_NUM_TASKS": "1"}, None, 0, 0, None),
        ({"LOCAL_RANK": "1"}, None, 1, 1, None),
        (SRUN, "srun", 5, 1, 8),
        (TORCHRUN, "torchrun", 5, 1, 8),
        (SRUN | TORCHRUN | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}, "torchrun", 5, 1, 8),
    ],
    ids=["a shell", "sbatch", "srun of one task", "started by the first", "srun", "torchrun", "torchrun in srun"],
)
def test_launchers_are_told_apart(
    variables: dict[str, str],
    launcher: str | None,
    rank: int,
    local_rank: int,
    number: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (ranks.launcher(), ranks.num_launched()) == (launcher, number)
    assert (ranks.rank(), ranks.local_rank()) == (rank, local_rank)
    assert ranks.is_first({"devices": 1})
    assert ranks.is_first({"devices": 2}) == (rank == 0)
    before = dict(os.environ)
    with ranks.without_launcher():
        assert (ranks.launcher(), ranks.rank()) == (None, 0)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("devices", "number"),
    [(1, 1), ("3", 3), (2, 2), ("auto", 4), (-1, 4), (None, 4), ([0, 2], 2), ("0,1,3", 3), ("1,", 1)],
)
def test_processes_of_a_machine(devices: object, number: int) -> None:
    assert ranks.num_local({"devices": devices}, num_visible=4) == number
