"""Run folders are found by their name."""

from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.runs.run_folder import find


def test_a_folder_of_runs_names_one_of_them(tmp_path: Path) -> None:
    """A trial of a search with several seeds holds a run for each."""
    for seed in (0, 1):
        (tmp_path / f"seed_{seed}" / ".hydra").mkdir(parents=True)
        (tmp_path / f"seed_{seed}" / ".hydra" / "config.yaml").touch()
    with pytest.raises(UserError, match=r"is not a run folder .*; it holds some, such as .*seed_0$"):
        find(tmp_path)
    assert find(tmp_path / "seed_1") == tmp_path / "seed_1"
