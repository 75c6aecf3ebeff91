"""Two tasks of a real Ray are one search."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from app_runs import TOY, points, states, study_at

from conftest import PROJECT


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="this needs ray (pip install ray==2.60.0)")
def test_two_tasks_of_ray_are_one_search(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    settings = [f"hydra.sweeper.storage='{url}'", "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=6", "seconds=1"]
    settings += ["hydra/sweeper/sampler=random", "hydra.sweep.dir=sweep", "hydra.sweeper.study_name=ray"]
    script = PROJECT / "scripts/cluster/ray_sweep.py"
    ended = subprocess.run(
        [sys.executable, str(script), "2", "0", str(TOY), "-m", *settings],
        cwd=tmp_path,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": "/tmp", "PYTHONWARNINGS": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    study = study_at(url, "ray")
    assert len(points(study)) == len(set(points(study))) == 6
    assert states(study) == ["COMPLETE"] * 6
    assert len({trial.user_attrs["owner"] for trial in study.get_trials(deepcopy=False)}) == 2
