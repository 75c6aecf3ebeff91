"""A plain run is a run of one process, inside a job of Slurm, LSF or torchrun too."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch.utilities import rank_zero_only

from cnnlab.distributed.environment import environment
from cnnlab.runs import ranks
from conftest import Finished

SLURM = {
    "SLURM_JOB_ID": "17",
    "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "3",
    "SLURM_NODEID": "1",
}
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "4",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}
LSF = {
    "LSB_JOBID": "17",
    "LSB_DJOB_RANKFILE": "absent",
    "JSM_NAMESPACE_LOCAL_RANK": "1",
    "JSM_NAMESPACE_RANK": "3",
    "JSM_NAMESPACE_SIZE": "4",
}


@pytest.fixture
def slurm_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `srun` in PATH."""
    srun = tmp_path / "bin/srun"
    srun.parent.mkdir()
    srun.write_text("#!/bin/sh\nexit 1\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    "variables",
    [SLURM, {"SLURM_NTASKS": "4"}, TORCHRUN, LSF],
    ids=["a task of srun", "salloc", "torchrun", "jsrun"],
)
@pytest.mark.usefixtures("slurm_client")
def test_variables_of_launchers_do_not_matter(
    variables: dict[str, str], smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # as Lightning reads it when it is imported
    run = smoke("model=linear", "logger=none")
    assert (run.status, run.err) == (0, "")
    assert run.metrics["test/accuracy"] is not None
    assert run.folder is not None
    assert (run.folder / "checkpoints/best.ckpt").is_file()
    assert (run.folder / "environment.json").is_file()


@pytest.mark.usefixtures("slurm_client")
def test_nobody_is_told_of_srun(smoke: Callable[..., Finished]) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert smoke("model=linear", "logger=none").status == 0
    assert [str(warning.message) for warning in told if "srun" in str(warning.message)] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, True),
        ({"devices": 1}, True),
        ({"devices": "1"}, True),
        ({"devices": [3]}, True),
        ({"devices": 2}, False),
        ({"devices": "2"}, False),
        ({"devices": [0, 1]}, False),
        ({"devices": "auto"}, False),
        ({"devices": None}, False),
        ({"devices": 1, "num_nodes": 2}, False),
    ],
)
def test_only_a_run_of_one_process_is_kept_alone(
    arguments: dict[str, object], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    assert ranks.is_alone(arguments) == expected
    environment(arguments)
    assert rank_zero_only.rank == (0 if expected else 3)
