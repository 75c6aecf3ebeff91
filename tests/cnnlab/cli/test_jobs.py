"""Whose a failure is: the command's, Hydra's, or a search's."""

from pathlib import Path
from typing import Any

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from cnnlab.cli.jobs import Jobs
from cnnlab.errors import UserError

BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
SEARCH = "a_plugin.a_search.Sweeper"


@pytest.mark.parametrize(
    ("sweeper", "launcher", "is_kept", "leaves_folder"),
    [
        (BASIC, "x.BasicLauncher", True, True),
        (BASIC, "x.Joblib", False, True),
        (SEARCH, "x.BasicLauncher", False, False),
    ],
)
def test_a_failure_among_several_jobs(
    sweeper: str, launcher: str, is_kept: bool, leaves_folder: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content: dict[str, Any] = {"mode": RunMode.MULTIRUN, "output_subdir": ".hydra", "sweeper": {"_target_": sweeper}}
    content |= {"launcher": {"_target_": launcher}, "job": {"name": "train", "num": 7}, "overrides": {"task": ["a=1"]}}
    settings = OmegaConf.create(content)
    jobs, folder = Jobs(str), tmp_path / "7"
    (folder / ".hydra").mkdir(parents=True)
    jobs.begin(folder, OmegaConf.create({"monitor": "val/accuracy"}), settings)
    assert jobs.fail(UserError("refused"), settings) == is_kept
    assert folder.is_dir() == leaves_folder
    assert ("error: job 7, a=1: refused" in capsys.readouterr().err) == leaves_folder
    if leaves_folder:
        with pytest.raises(UserError, match="1 of 1 jobs failed:"):
            jobs.raise_failures()
    else:
        jobs.raise_failures()  # a search tells of its own
