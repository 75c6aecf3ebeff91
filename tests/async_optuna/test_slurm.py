"""An array job of a real Slurm is one search, and a task that is cancelled loses nothing."""

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_runs import TOY, finished, points, states, study_at, wait_until

from conftest import PROJECT

pytestmark = pytest.mark.slow

SCRIPT = PROJECT / "scripts/cluster/slurm_sweep.sbatch"


def script(name: str) -> Any:
    """A module of scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT / "scripts"))
        return importlib.import_module(name)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    slurm_cluster = script("slurm_cluster")
    if missing := slurm_cluster.what_is_missing():
        pytest.skip(f"this needs {missing}")
    (tmp_path / "slurm").mkdir()
    with slurm_cluster.running_slurm(tmp_path / "slurm", num_cpus=4) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def server() -> Iterator[Any]:
    postgresql = script("postgresql_server")
    if missing := postgresql.what_is_missing():
        pytest.skip(f"this needs {missing}")
    with postgresql.running_server() as server:
        yield server


def asked(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def states_of_tasks(job: str) -> dict[str, str]:
    lines = asked("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%K %T").splitlines()
    return dict(line.split() for line in lines)


@pytest.mark.usefixtures("slurm")
def test_an_array_job_of_which_one_task_is_cancelled(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    url = server.url.replace("+psycopg", "")
    settings = [f"hydra.sweeper.storage='{url}'", "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=8", "seconds=2"]
    settings += ["hydra/sweeper/sampler=random", "hydra.sweep.dir=sweep", "hydra.sweeper.study_name=slurm"]
    job = asked("sbatch", "--parsable", "--array=0-1", "--cpus-per-task=1", str(SCRIPT), str(TOY), "-m", *settings)

    def has_begun(task: int) -> bool:
        output = tmp_path / f"slurm-{job}_{task}.out"
        return output.is_file() and "trial " in output.read_text(encoding="utf-8")

    wait_until(lambda: has_begun(0) and has_begun(1), 90)
    time.sleep(1)  # in mid-trial
    asked("scancel", f"{job}_0")
    wait_until(lambda: states_of_tasks(job).get("1") == "COMPLETED", 120)
    assert states_of_tasks(job)["0"] == "CANCELLED"
    stopped = (tmp_path / f"slurm-{job}_0.out").read_text(encoding="utf-8")
    assert "go on with:" in stopped
    study = study_at(server.url, "slurm")
    assert len(points(study)) == len(set(points(study))) == 8
    assert not {"RUNNING", "WAITING"} & set(states(study))
    assert {trial.state.name for trial in finished(study)} == {"COMPLETE"}


@pytest.mark.usefixtures("slurm")
def test_the_time_limit_is_told_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script asks for it two minutes before; here it is half a minute after the beginning of the last one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    settings = ["hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=1", "seconds=600", "hydra.sweep.dir=sweep"]
    limits = ["--array=0", "--cpus-per-task=1", "--time=1", "--signal=B:TERM@55"]
    job = asked("sbatch", "--parsable", *limits, str(SCRIPT), str(TOY), "-m", *settings)
    output = tmp_path / f"slurm-{job}_0.out"
    wait_until(lambda: output.is_file() and "go on with:" in output.read_text(encoding="utf-8"), 120)
